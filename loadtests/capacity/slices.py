"""Short slices of random arrivals, each between two looks at what saturates the variant then.

A shared machine is faster in one minute than in the next, and near its capacity waits answer that tenfold. So loads
take turns in many slices, and each is offered a share of what the look before it found.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from loadtests.capacity.levels import Levels, Plan, find_capacity
from loadtests.measure.recording import Recording
from loadtests.measure.scraper import INTERVAL_S

# Of a level's length: a slice, and a look.
SLICE_SHARE, LOOK_SHARE = 0.8, 0.4


class Slice(NamedTuple):
    """Some seconds at a share of the capacity: rows/s that were offered, and what saturated before and after it."""

    seed: int
    load: float
    rate: float
    capacities: tuple[float, float]
    recording: Recording
    look: Recording


def estimate_slice_s(plan: Plan) -> float:
    """How long one slice takes with the look after it."""
    return plan.estimate_level_s(SLICE_SHARE) + plan.estimate_level_s(LOOK_SHARE)


def run_slices(levels: Levels, loads: Sequence[float]) -> list[Slice]:
    """Run one slice after the other.

    Raises:
        CertifyError: requests failed.
    """
    slices, capacity = [], find_capacity(levels.saturate(LOOK_SHARE))
    for seed, load in enumerate(loads, start=1):
        recording = levels.arrive(load * capacity, SLICE_SHARE, seed=seed)
        # Else what is scraped next would mix the slice's last requests with the first ones that saturate.
        time.sleep(2 * INTERVAL_S)
        look = levels.saturate(LOOK_SHARE)
        before, capacity = capacity, find_capacity(look)
        slices.append(Slice(seed, load, load * before, (before, capacity), recording, look))
    return slices
