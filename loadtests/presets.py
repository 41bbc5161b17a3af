"""How long and how thoroughly a campaign measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The plan for each variant.

    `rounds` repeats the closed-loop sweep, variants taking turns; `probes` open-loop runs search for the highest rate
    that holds the bound, the first at `first_probe` of the sweep's peak; `streams` adds SingleStream and MultiStream.
    """

    callers: tuple[int, ...]
    rounds: int
    warm_up_s: float
    measure_s: float
    rest_callers: tuple[int, ...]
    first_probe: float
    probes: int
    probe_s: float
    offline_s: float
    streams: bool


PRESETS = {
    # About 22 s a variant, so that four fit into a minute and a half.
    "demo": Preset(
        callers=(1, 4, 16, 64),
        rounds=1,
        warm_up_s=0.4,
        measure_s=1.8,
        rest_callers=(4,),
        first_probe=0.6,
        probes=1,
        probe_s=5.0,
        offline_s=2.0,
        streams=False,
    ),
    "full": Preset(
        callers=(1, 2, 4, 8, 16, 32, 64, 128),
        rounds=3,
        warm_up_s=1.0,
        measure_s=6.0,
        rest_callers=(1, 4, 16, 64),
        first_probe=0.7,
        probes=5,
        probe_s=30.0,
        offline_s=10.0,
        streams=True,
    ),
}
