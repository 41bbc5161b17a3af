"""Admission: a request that cannot be answered in time is refused at once, while refusing is still of use.

The wait is predicted from the rows that are waiting and from how long batches take, which is measured all the time, as
is how far the predictions can be trusted (promises.py): a bound in rows alone would be seconds for a translator and
nothing for a small classifier.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import NamedTuple, Protocol

from services.gateway.batch_times import BatchTimes
from services.gateway.caller import name_caller
from services.gateway.errors import OverloadedError
from services.gateway.promises import Promises
from services.gateway.tensors import InferRequest

_UNLIMITED = nullcontext()


class WaitingRows(Protocol):
    """What waits for a model version and what its workers have, as far as admission needs it."""

    @property
    def waiting_rows(self) -> int: ...
    @property
    def num_calls(self) -> int: ...
    def count_rows_before(self, request: InferRequest, num_rows: int) -> int: ...
    def is_below_share(self, request: InferRequest, num_rows: int, max_rows: int) -> bool: ...


class Held(NamedTuple):
    """Workers that sessions hold, and in how many seconds the first of them is expected to be free."""

    num_workers: int = 0
    free_in_s: float = 0.0


NONE_HELD = Held()


class Admission:
    """Decide for one model version whether a request may wait."""

    def __init__(
        self,
        name: str,
        *,
        max_rows: int,
        num_slots: int,
        max_wait_s: float,
        max_waiting_rows: int,
        certified: Iterable[tuple[float, float]] = (),
        now: Callable[[], float] = monotonic,
    ) -> None:
        """`certified` are rows and seconds of batches as a certificate has them: what is known before the first one."""
        self._name = name
        self._max_rows = max_rows
        self._num_slots = num_slots
        self._max_wait_s = max_wait_s
        self._max_waiting_rows = max_waiting_rows
        self._now = now
        self._times = BatchTimes()
        self._promises = Promises()
        for num_rows, seconds in certified:
            self._times.observe(num_rows, seconds)
        self._full_s = self._times.predict(max_rows)  # asked for by every request, changed by batches only
        self._ends_s: deque[float] = deque(maxlen=num_slots)

    def observe(self, num_rows: int, started_s: float, waits: Sequence[tuple[float, float]] = ()) -> float:
        """Learn from a batch that has just been answered, and from what its requests were promised and took.

        Returns how long it ran, in seconds; one that waited at a busy worker ran once that was free.
        """
        end_s = self._now()
        if len(self._ends_s) == self._num_slots:
            started_s = max(started_s, self._ends_s[0])
        self._ends_s.append(end_s)
        self._times.observe(num_rows, end_s - started_s)
        self._full_s = self._times.predict(self._max_rows)
        self._promises.observe(waits)
        return end_s - started_s

    def note_free(self) -> None:
        """Learn that a session has left its worker: a batch that waited there runs from now on."""
        self._ends_s.append(self._now())

    def predict_s(self, num_rows: int, waiting_rows: int, num_calls: int, held: Held = NONE_HELD) -> float:
        """Predict how long a request of `num_rows` takes from now to its answer, in seconds."""
        num_slots = self._num_slots - held.num_workers
        if num_calls < num_slots:
            return self._times.predict(num_rows)
        if num_slots <= 0:  # the first session that ends gives its worker back, and no stream has it before
            num_batches = num_calls + math.ceil((waiting_rows + num_rows) / self._max_rows)
            return held.free_in_s + self._full_s * num_batches
        batches_ahead = num_calls - num_slots + (waiting_rows + num_rows) / self._max_rows
        # Workers are half-way through their batches, on average; its own batch has begun when all before it have.
        return self._full_s * (0.5 + math.ceil(batches_ahead) / num_slots)

    def check(self, request: InferRequest, num_rows: int, queue: WaitingRows, held: Held = NONE_HELD) -> None:
        """Let a request pass for which there is room and whose answer is expected in time.

        That is before its deadline, or within the server's bound if it has none. `held` are workers that have streams.

        One that finds an idle worker always passes: only its measured time can mend an estimate that is too high.

        Raises:
            OverloadedError: says how many wait, or how long it would take and when to try again.
        """
        num_calls, waiting_rows = queue.num_calls, queue.waiting_rows
        if num_calls + held.num_workers < self._num_slots and waiting_rows == 0:
            return
        limit = self._max_waiting_rows
        if waiting_rows + num_rows > limit and not queue.is_below_share(request, num_rows, limit):
            raise OverloadedError(
                f"{waiting_rows} rows of {self._name} are waiting, at most {limit} may; "
                "send fewer requests at once, or try again later"
            )
        has_deadline = request.deadline_s < math.inf
        bound_s = request.deadline_s - self._now() if has_deadline else self._max_wait_s
        factor = self._promises.factor
        request.promised_s = factor * self.predict_s(num_rows, waiting_rows, num_calls, held)
        if request.promised_s <= bound_s:
            return
        rows_before = queue.count_rows_before(request, num_rows)  # not all, where others have had their share
        request.promised_s = factor * self.predict_s(num_rows, rows_before, num_calls, held)
        if request.promised_s <= bound_s:
            return
        bound = "its deadline is" if has_deadline else "without a deadline a request waits at most"
        expected_ms = 1e3 * request.promised_s
        raise OverloadedError(
            f"{rows_before} rows of {self._name} are waiting before it: an answer is expected in {expected_ms:.0f} ms, "
            f"{bound} {1e3 * bound_s:.0f} ms; try again later, or send fewer requests at once",
            retry_after_s=request.promised_s - max(0.0, bound_s),
        )


class CallerLimit:
    """At most so many requests of one caller at once, whatever its connections; caller.py says who is one."""

    def __init__(self, max_calls: int) -> None:
        self._max_calls = max_calls
        self._calls: Counter[str] = Counter()

    def hold(self, request: InferRequest) -> AbstractContextManager[None]:
        """Count a request of a caller as long as the block runs.

        Raises:
            OverloadedError: the caller has as many as it may.
        """
        caller = name_caller(request.caller) if self._max_calls else ""
        return self._hold(caller) if caller else _UNLIMITED

    @contextmanager
    def _hold(self, caller: str) -> Iterator[None]:
        if self._calls[caller] >= self._max_calls:
            raise OverloadedError(
                f"{self._max_calls} requests of yours are being answered, the most that one caller may have at once; "
                "wait for answers before sending more"
            )
        self._calls[caller] += 1
        try:
            yield
        finally:
            self._calls[caller] -= 1
            if not self._calls[caller]:
                del self._calls[caller]
