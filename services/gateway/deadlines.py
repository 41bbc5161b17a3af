"""Deadlines of the requests that a version has, by one timer: few of them pass, and a timer for each is two objects."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from time import monotonic

from services.gateway.waiting import Job

# The event loop's own clock ticks in milliseconds.
_TICK_S = 0.001


class Deadlines:
    """Calls `expire` with each job that is watched when its deadline passes."""

    def __init__(self, expire: Callable[[Job], None]) -> None:
        self._expire = expire
        self._loop = asyncio.get_running_loop()
        self._jobs: set[Job] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = math.inf  # when the timer goes off: not after the earliest of them

    def watch(self, job: Job) -> None:
        self._jobs.add(job)
        if job.request.deadline_s < self._due_s:
            self._set_timer(job.request.deadline_s)

    def forget(self, job: Job) -> None:
        self._jobs.discard(job)

    def _set_timer(self, due_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due_s = due_s
        self._timer = None if due_s == math.inf else self._loop.call_later(max(0.0, due_s - monotonic()), self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = monotonic() + _TICK_S
        for job in [job for job in self._jobs if job.request.deadline_s <= now_s]:
            self._jobs.discard(job)
            self._expire(job)
        self._set_timer(min([job.request.deadline_s for job in self._jobs], default=math.inf))
