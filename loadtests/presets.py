"""How long and how thoroughly a campaign measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

MULTI_STREAM_ROWS = 8  # as MLPerf has it
START_S = 0.5  # a generator connects and calibrates for about this long
# Of a preset's times; what is measured for less tells nothing.
SHORTEST = 0.25


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The plan for each variant.

    `rounds` repeats the closed-loop sweep, variants taking turns; a level lasts `least_s`, and where the machine is
    noisy up to `most_s` and what other levels left of that. The search for the rate that holds the bound spends
    `search_s` at most and ends within `resolution`; a run of `confirm_s` confirms it. `streams` adds SingleStream and
    MultiStream. In the end what did not settle is made again, in `repeats_s`, however long the rest took, and what else
    is left of the planned time; nothing is where `repeats_s` is 0.
    """

    callers: tuple[int, ...]
    rounds: int
    warm_up_s: float
    least_s: float
    most_s: float
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
        """Measure for a share of the time; warm-ups and the least that a probe or level lasts stay."""
        return replace(
            self,
            most_s=max(self.least_s, share * self.most_s),
            search_s=share * self.search_s,
            most_probe_s=max(self.least_probe_s, share * self.most_probe_s),
            confirm_s=share * self.confirm_s,
            offline_s=share * self.offline_s,
            repeats_s=share * self.repeats_s,
        )


PRESETS = {
    # About 36 s a variant, so that five fit into four minutes together with what is made again. On two cores a level
    # takes 6 s for its mean to be known within ±10 %: two levels that are known tell more than three that are not.
    "demo": Preset(
        callers=(1, 64),
        rounds=1,
        warm_up_s=0.4,
        least_s=1.5,
        most_s=6.0,
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
    return START_S + len(callers) * (preset.warm_up_s + preset.most_s)


def estimate_campaign_s(preset: Preset, num_variants: int) -> float:
    """How long a campaign against this many variants takes."""
    confirm_s = preset.warm_up_s + preset.confirm_s + START_S
    scenarios_s = START_S + preset.search_s + confirm_s + preset.offline_s + START_S
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

    if estimate_s(SHORTEST) > budget_s:
        raise ValueError(
            f"{budget_s / 60:.1f} minutes are too few for {sum(num_variants)} variants: at least "
            f"{estimate_s(SHORTEST) / 60:.1f} are needed to tell anything"
        )
    low, high = SHORTEST, 1.0
    if estimate_s(high) <= budget_s:
        return preset
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if estimate_s(middle) <= budget_s else (low, middle)
    return preset.shorten(low)
