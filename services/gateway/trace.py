"""A request's place in a distributed trace, and the times that its spans are made of.

Source: W3C Trace Context, headers `traceparent` and `tracestate`.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import NamedTuple

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1


class WorkerTimes(NamedTuple):
    """What a worker tells of a call; `process` is its id, 0 where its archive does not know of that."""

    started_s: float
    ended_s: float
    process: int


class CallTimes(NamedTuple):
    """One call for a request, packed or a stream's part of a session, in time.monotonic()'s seconds.

    `worker` is None where it told nothing; `first_s` is when the first bit of a stream's answer came.
    """

    sent_s: float
    answered_s: float
    worker: WorkerTimes | None
    batch_rows: int
    batch_requests: int
    first_s: float | None = None


@dataclass(slots=True)
class Trace:
    """Ids of the request's own span; `parent_id` is 0 where the caller has none. Times are kept if it is sampled.

    `state` is what others told of the trace, `tracestate`, which is passed on. `is_queued` says that the request came
    into a queue, `is_cached` that a kept answer was found.
    """

    trace_id: int
    span_id: int
    parent_id: int
    is_sampled: bool
    state: str = ""
    is_queued: bool = False
    is_cached: bool = False
    calls: list[CallTimes] = field(default_factory=list)

    @property
    def ids(self) -> dict[str, str]:
        """Name the span as logs and exemplars do."""
        return {"trace_id": f"{self.trace_id:032x}", "span_id": f"{self.span_id:016x}"}


def begin_trace(traceparent: str | None, share: float, tracestate: str = "") -> Trace | None:
    """Continue a caller's trace, sampled if the caller samples it; else begin one for a share of requests."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is not None:
        trace_id, parent_id, flags = (int(text, 16) for text in found.groups())
        return Trace(trace_id, make_span_id(), parent_id, bool(flags & _SAMPLED), tracestate)
    if random.random() >= share:
        return None
    return Trace(random.getrandbits(128) or 1, make_span_id(), 0, is_sampled=True)


def make_span_id() -> int:
    return random.getrandbits(64) or 1
