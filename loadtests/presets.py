"""How long and how thoroughly a campaign measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadtests.judge.verdict import ENOUGH_ERROR, WELL_KNOWN

MULTI_STREAM_ROWS = 8  # as MLPerf has it
START_S = 0.5  # a generator connects and calibrates for about this long
# A rate is confirmed so often on average: the search was too hopeful about two of five, or the rate is slow to prove.
CONFIRMATIONS_EACH = 1.4


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The plan for each variant.

    `rounds` repeats the closed-loop sweep, variants taking turns; a level lasts `least_s`, and until its mean is known
    within `wanted_error` up to `most_s` and what other levels left of that. The search for the rate that holds the
    bound spends about `search_s` and ends within `resolution`; a run of `confirm_s` confirms it. Offline lasts
    `offline_s`, and is left out where that is 0; `streams` adds SingleStream and MultiStream. In the end what did not
    settle is made again, in `repeats_s`, however long the rest took, and what else is left of the planned time; nothing
    is where `repeats_s` is 0.
    """

    callers: tuple[int, ...]
    rounds: int
    warm_up_s: float
    least_s: float
    most_s: float
    wanted_error: float
    rest_callers: tuple[int, ...]
    search_s: float
    least_probe_s: float
    most_probe_s: float
    resolution: float
    confirm_s: float
    offline_s: float
    streams: bool
    repeats_s: float

    def shorten(self, share: float) -> Preset:
        """Keep a share of the time that it takes beyond that of `brief`, for less than which nothing is measured."""

        def keep(own_s: float, least_s: float) -> float:
            return least_s + share * (own_s - least_s) if own_s > least_s else own_s

        return replace(
            self,
            most_s=keep(self.most_s, max(self.least_s, BRIEF.most_s)),
            search_s=keep(self.search_s, BRIEF.search_s),
            most_probe_s=keep(self.most_probe_s, max(self.least_probe_s, BRIEF.most_probe_s)),
            confirm_s=keep(self.confirm_s, BRIEF.confirm_s),
            repeats_s=keep(self.repeats_s, BRIEF.repeats_s),
        )


# About 21 s a variant, so that four models with ten variants between them take four minutes. Requests and batches of
# many rows are left out, of which a slow model answers too few in seconds: 9 of 10 runs of 2 s with full requests and 6
# of 10 with 64 callers were INVALID. gRPC and REST are only asked whether they answer alike.
BRIEF = Preset(
    callers=(1, 16),
    rounds=1,
    warm_up_s=0.4,
    least_s=1.5,
    most_s=4.0,
    wanted_error=ENOUGH_ERROR,
    rest_callers=(),
    search_s=6.0,
    least_probe_s=1.0,
    most_probe_s=2.5,
    resolution=1.2,
    confirm_s=3.0,
    offline_s=0.0,
    streams=False,
    repeats_s=5.0,
)
PRESETS = {
    "brief": BRIEF,
    # About 36 s a variant, so that five fit into four minutes together with what is made again. On two cores a level
    # takes 6 s for its mean to be known within ±10 %: two levels that are known tell more than three that are not.
    "demo": Preset(
        callers=(1, 64),
        rounds=1,
        warm_up_s=0.4,
        least_s=1.5,
        most_s=6.0,
        wanted_error=WELL_KNOWN,
        rest_callers=(4,),
        search_s=12.0,
        least_probe_s=1.0,
        most_probe_s=4.0,
        resolution=1.12,
        confirm_s=5.0,
        offline_s=4.0,
        streams=False,
        repeats_s=40.0,
    ),
    "full": Preset(
        callers=(1, 2, 4, 8, 16, 32, 64, 128),
        rounds=3,
        warm_up_s=1.0,
        least_s=5.0,
        most_s=15.0,
        wanted_error=WELL_KNOWN,
        rest_callers=(1, 4, 16, 64),
        search_s=120.0,
        least_probe_s=3.0,
        most_probe_s=20.0,
        resolution=1.04,
        confirm_s=30.0,
        offline_s=10.0,
        streams=True,
        repeats_s=180.0,
    ),
}


def estimate_sweep_s(preset: Preset, callers: Sequence[int]) -> float:
    """How long a sweep takes on a noisy machine; what a quieter one leaves of it, repeats may use."""
    return START_S + len(callers) * (preset.warm_up_s + preset.most_s) if callers else 0.0


def estimate_confirmation_s(preset: Preset) -> float:
    """How long it takes on average to confirm a rate."""
    return CONFIRMATIONS_EACH * (preset.warm_up_s + preset.confirm_s + START_S)


def estimate_campaign_s(preset: Preset, num_variants: int) -> float:
    """How long a campaign against this many variants takes."""
    offline_s = preset.offline_s + START_S if preset.offline_s else 0.0
    scenarios_s = START_S + preset.search_s + estimate_confirmation_s(preset) + offline_s
    streams_s = 2 * (preset.confirm_s + START_S) if preset.streams else 0.0
    variant_s = preset.rounds * estimate_sweep_s(preset, preset.callers) + scenarios_s + streams_s
    return num_variants * variant_s + estimate_sweep_s(preset, preset.rest_callers) + preset.repeats_s


def fit_preset(preset: Preset, num_variants: Sequence[int], budget_s: float) -> Preset:
    """Shorten a preset as little as needed for campaigns against so many variants each to end within a budget.

    Raises:
        ValueError: there are too many variants for it; says how long they need.
    """

    def estimate_s(share: float) -> float:
        return sum(estimate_campaign_s(preset.shorten(share), number) for number in num_variants)

    if estimate_s(0.0) > budget_s:
        raise ValueError(
            f"{budget_s / 60:.1f} minutes are too few for {sum(num_variants)} variants: at least "
            f"{estimate_s(0.0) / 60:.1f} are needed to tell anything"
        )
    low, high = 0.0, 1.0
    if estimate_s(high) <= budget_s:
        return preset
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if estimate_s(middle) <= budget_s else (low, middle)
    return preset.shorten(low)
