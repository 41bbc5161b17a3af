"""When a batch may leave for a worker that is still busy, so that it arrives as the worker becomes free.

Between an answer and the next batch a worker idles for as long as both are on their way: about a millisecond, which is
a fifth of a small network's batch. So the ends of the calls under way are predicted from how long batches of so many
rows ran before, and the next one leaves that much earlier. It does so only while predictions err by less than the way
is long: a batch that leaves too early goes without those that came in the meantime, and gains nothing.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass

from services.gateway.batch_times import FORGETTING, BatchTimes

# A worker tells how long it ran for each of the first calls, and every so manieth later: asking costs some 20 µs.
_NUM_FIRST = 20
_ASK_EVERY = 8


@dataclass(slots=True, eq=False)
class Call:
    """A batch under way. `end_s` is predicted; infinite while the batch waits at a worker, as `has_waited` tells."""

    num_rows: int
    sent_s: float
    end_s: float
    has_waited: bool
    wants_time: bool


class SendingAhead:
    """Predict when the next batch of one model version may leave: at `due_s`. All times are of `time.monotonic`."""

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers
        self._times = BatchTimes()
        self._way_s = self._error_s = 0.0
        self._num_begun = self._num_asked = self._num_ended = 0
        self._running: list[Call] = []
        self._waiting: deque[Call] = deque()
        self.due_s = math.inf

    def begin(self, num_rows: int, now_s: float) -> Call:
        """Note a call that is sent now, to an idle worker or a busy one."""
        wants_time = self._num_asked < _NUM_FIRST or self._num_begun % _ASK_EVERY == 0
        self._num_begun += 1
        call = Call(num_rows, now_s, math.inf, len(self._running) >= self._num_workers, wants_time)
        if call.has_waited:
            self._waiting.append(call)
        else:
            call.end_s = now_s + self._way_s + self._times.predict(num_rows)
            self._running.append(call)
        self._look_out()
        return call

    def end(self, call: Call, now_s: float, ran_s: float | None) -> None:
        """Note that a call has ended: the first of those that wait at workers begins.

        `ran_s` is what its worker told of it, if it did: how long it ran. What else it took was the way, unless it has
        waited.
        """
        self._num_asked += call.wants_time
        if ran_s is not None:
            self._times.observe(call.num_rows, ran_s)
            if not call.has_waited:
                way_s = now_s - call.sent_s - ran_s
                self._way_s += max(FORGETTING, 1 / self._num_asked) * (way_s - self._way_s)
        if call in self._running:
            self._running.remove(call)
            self._num_ended += 1
            error_s = abs(now_s - call.end_s)
            self._error_s += max(FORGETTING, 1 / self._num_ended) * (error_s - self._error_s)
            if self._waiting:
                begun = self._waiting.popleft()
                begun.end_s = now_s + self._times.predict(begun.num_rows)
                self._running.append(begun)
        else:
            self._waiting.remove(call)
        self._look_out()

    def _look_out(self) -> None:
        num_waiting = len(self._waiting)
        is_known = self._num_ended >= _NUM_FIRST and self._error_s < self._way_s
        if is_known and num_waiting < len(self._running) == self._num_workers:
            ends_s = heapq.nsmallest(num_waiting + 1, [call.end_s for call in self._running])
            self.due_s = ends_s[-1] - self._way_s
        else:
            self.due_s = math.inf
