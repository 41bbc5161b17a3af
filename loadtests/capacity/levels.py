"""Levels of load against one variant: one caller, random arrivals, and more of these than are answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadtests.addresses import Addresses
from loadtests.generate.plan import NO_BOUND_MS, OpenLoop, aim
from loadtests.generate.processes import run_open_loop
from loadtests.measure.recording import Recording
from loadtests.subject import Subject

# Single rows in flight for each row that a worker takes at once: always enough for the next batch, and the one after.
IN_FLIGHT = 3
# So much more than was answered last saturates. Far more would not show what can be answered, but what can be read.
OVERLOAD = 1.25
# Who answers such a share of what was offered might have answered more.
ANSWERED_ALL = 0.96


class CertifyError(RuntimeError):
    """The measurement is no base for a certificate; says why."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long it is measured: each level for `level_s` after `warm_up_s`, in `rounds`; a search of `search_s`."""

    rounds: int = 3
    level_s: float = 4.0
    search_s: float = 40.0
    warm_up_s: float = 1.0

    def estimate_level_s(self, times_as_long: float = 1.0) -> float:
        """One level with its warm-up and the start of its generator."""
        return times_as_long * self.level_s + self.warm_up_s + 2.0


class Levels:
    """Levels of load, each in a generator of its own."""

    def __init__(
        self, subject: Subject, url: str, plan: Plan, workers: int, advance: Callable[[str, float], None]
    ) -> None:
        self._traffic = aim(subject, Addresses(grpc=url))
        self._plan = plan
        self._in_flight = IN_FLIGHT * subject.manifest.max_rows * workers
        self._advance = advance
        self._capacity: float | None = None

    def saturate(self, times_as_long: float = 1.0) -> Recording:
        """Let rows arrive at random, and more of them than are answered, so that every batch is full.

        Callers who send as they are answered would do it in bundles, which cost the front door less than what comes at
        random: of that they would show a capacity that no queue could stand at.
        """
        if self._capacity is None:
            self._capacity = find_capacity(
                self._run("in bundles", 1.0, scenario="Offline", max_in_flight=self._in_flight)
            )
        while True:
            offered = OVERLOAD * self._capacity
            recording = self._arrive("saturated", offered, times_as_long)
            found = find_capacity(recording)
            self._capacity = found or self._capacity / 2
            if 0 < found < ANSWERED_ALL * offered:
                return recording

    def call_singly(self) -> Recording:
        """Send one row after the other."""
        return self._run("one caller", 1.0, scenario="SingleStream")

    def arrive(self, rate: float, times_as_long: float = 1.0, *, seed: int = 1) -> Recording:
        """Let rows arrive at random."""
        return self._arrive(f"{rate:.0f}/s", rate, times_as_long, seed)

    def _arrive(self, what: str, rate: float, times_as_long: float, seed: int = 1) -> Recording:
        how = {"scenario": "Server", "rate": rate, "warm_up_s": self._plan.warm_up_s, "seed": seed}
        return self._run(what, times_as_long, **how)

    def _run(self, what: str, times_as_long: float, **how: object) -> Recording:
        measure_s = times_as_long * self._plan.level_s
        plan = OpenLoop.model_validate(
            {"traffic": self._traffic, "measure_s": measure_s, "bound_ms": NO_BOUND_MS, **how}
        )
        recording = run_open_loop(plan)
        if recording.errors:
            raise CertifyError(f"{what}: requests failed, so nothing can be certified: {recording.errors}")
        self._advance(what, self._plan.estimate_level_s(times_as_long))
        return recording


def find_capacity(recording: Recording) -> float:
    """Rows a second of the middle of a saturated run: a generator's start and end are no small part of a second.

    The first ones that count stand behind all that came to warm up; 0 where they do so to the end.
    """
    windows = recording.windows
    first = next((number for number, window in enumerate(windows) if window.requests), len(windows))
    tenth = len(windows) // 10
    middle = windows[first + tenth : len(windows) - tenth]
    if not middle:
        return 0.0
    length_s = (recording.arrivals_s or recording.duration_s) * len(middle) / len(windows)
    return sum(window.requests for window in middle) * recording.rows_per_request / length_s
