"""Admission of streams: one that would begin too late is refused at once; see admission.py for all other requests.

What is promised is when its answer begins. How long answers take is measured all along, and how far the promises hold.
"""

from __future__ import annotations

import math
from time import monotonic
from typing import Protocol

from services.gateway.batch_times import BatchTimes
from services.gateway.errors import OverloadedError
from services.gateway.promises import Promises
from services.gateway.tensors import InferRequest


class WaitingStreams(Protocol):
    """The streams that wait, as far as admission needs them."""

    def __len__(self) -> int: ...
    def count_before(self, request: InferRequest) -> int: ...
    def is_below_share(self, request: InferRequest, most: int) -> bool: ...


class StreamAdmission:
    """Decide for one model version whether a stream may wait."""

    def __init__(self, name: str, *, num_places: int, max_wait_s: float, max_waiting: int) -> None:
        """`num_places` streams are answered at once."""
        self._name = name
        self._num_places = num_places
        self._max_wait_s = max_wait_s
        self._max_waiting = max_waiting
        self._times = BatchTimes()
        self._promises = Promises()

    def observe_begin(self, request: InferRequest, waited_s: float) -> None:
        """Learn how long a request waited for the beginning of its answer; infinite if it never began."""
        self._promises.observe([(request.promised_s, waited_s)] if request.promised_s else [])

    def observe_end(self, lasted_s: float) -> None:
        """Learn how long an answer took, from its place in a session to its end."""
        self._times.observe(1, lasted_s)

    def predict_end_s(self, began_s: float) -> float:
        """Predict when an answer ends that began at some time, in time.monotonic()'s seconds; not before now."""
        return max(monotonic(), began_s + self._times.predict(1))

    def check(self, request: InferRequest, queue: WaitingStreams, num_free: int, *, are_joined: bool) -> None:
        """Let a stream pass that finds one of the free places, or is expected to begin in time.

        That is early enough to end before its deadline, or within the server's bound if it has none. `are_joined` says
        whether sessions that run take more streams.

        Raises:
            OverloadedError: says how many wait, or how long it would take and when to try again.
        """
        num_waiting = len(queue)
        if num_waiting < num_free:
            return
        if num_waiting >= self._max_waiting and not queue.is_below_share(request, self._max_waiting):
            raise OverloadedError(
                f"{num_waiting} streams of {self._name} are waiting, at most {self._max_waiting} may; open fewer at "
                "once, or try again later"
            )
        has_deadline = request.deadline_s < math.inf
        lasts_s = self._times.predict(1)
        bound_s = request.deadline_s - monotonic() - lasts_s if has_deadline else self._max_wait_s
        num_before = queue.count_before(request)
        request.promised_s = self._promises.factor * self._predict_s(num_before, lasts_s, are_joined)
        if request.promised_s <= bound_s:
            return
        bound = (
            f"takes {1e3 * lasts_s:.0f} ms, which is after its deadline"
            if has_deadline
            else f"may wait for {1e3 * bound_s:.0f} ms without a deadline"
        )
        raise OverloadedError(
            f"{num_before} streams of {self._name} are waiting before it: it is expected to begin in "
            f"{1e3 * request.promised_s:.0f} ms and {bound}; try again later, or open fewer at once",
            retry_after_s=request.promised_s - max(0.0, bound_s),
        )

    def _predict_s(self, num_before: int, lasts_s: float, are_joined: bool) -> float:
        """Predict when a stream begins that has to wait, in seconds from now."""
        if are_joined:  # places become free one by one
            return lasts_s * (num_before + 1) / self._num_places
        # Sessions end as they are, half-way through on average, and then all begin together that find a place.
        return lasts_s * (0.5 + num_before // self._num_places)
