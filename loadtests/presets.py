"""How long and how thoroughly a campaign measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The plan for each variant.

    `rounds` repeats the closed-loop sweep, variants taking turns; a level lasts `least_s`, and where the machine is
    noisy up to `most_s` and what other levels left of that. The search for the rate that holds the bound spends
    `search_s` at most and ends within `resolution`; a run of `confirm_s` confirms it. `streams` adds SingleStream and
    MultiStream. In the end what did not settle is made again, in `repeats_s` and what else is left of the planned time;
    nothing is where `repeats_s` is 0.
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


PRESETS = {
    # About 40 s a variant, so that four fit into three and a half minutes together with what is made again.
    "demo": Preset(
        callers=(1, 8, 64),
        rounds=1,
        warm_up_s=0.4,
        least_s=1.5,
        most_s=6.0,
        rest_callers=(4,),
        search_s=14.0,
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
