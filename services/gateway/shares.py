"""Who goes next: an equal share for each caller, and the urgent before the rest, by one number for each request.

A request gets its number when it comes: its rows, counted on from where the queue is or from its caller's last one,
whichever is later. The smallest goes first. So a flood stands behind itself, and a caller who comes to it waits for
little more than his own rows; with one caller the order is that of arrival. Source: Golestani 1994, self-clocked fair
queueing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from services.gateway.caller import name_caller
from services.gateway.tensors import InferRequest

# A row counts as so many of the next more urgent level: the urgent go first, and no level starves.
LEVEL_RATIO = 8
_URGENT, _LEAST = 1, 3
_DEFAULT = 2
# Callers of whom nothing waits are looked for when there are so many, then when there are twice as many as were left.
_MANY_FLOWS = 1024


@dataclass(slots=True, eq=False)
class Flow:
    """One caller's requests of one level; each row adds `stride` to `end`, the number of the newest."""

    stride: int
    end: float = 0.0
    num_rows: int = 0


class Shares:
    """Numbers for the requests that wait for one model version."""

    def __init__(self) -> None:
        self._flows: dict[tuple[int, str], Flow] = {}
        self._most_flows = _MANY_FLOWS
        self._reached = 0.0
        self._num_rows = 0

    def find_flow(self, request: InferRequest) -> Flow:
        """Find where a request belongs, by its caller and its priority."""
        key = (_find_level(request.priority), name_caller(request.caller))
        flow = self._flows.get(key)
        if flow is None:
            if len(self._flows) >= self._most_flows:
                self._forget_idle()
            flow = self._flows[key] = Flow(LEVEL_RATIO ** (key[0] - _URGENT))
        return flow

    def enter(self, flow: Flow, num_rows: int) -> float:
        """Give a request its number."""
        flow.end = self._number_next(flow, num_rows)
        flow.num_rows += num_rows
        self._num_rows += num_rows
        return flow.end

    def leave(self, flow: Flow, num_rows: int) -> None:
        """Take a request out, answered or not."""
        flow.num_rows -= num_rows
        self._num_rows -= num_rows
        if not self._num_rows:
            self._flows.clear()
            self._reached = 0.0

    def reach(self, number: float) -> None:
        """Take note of how far the queue has come."""
        self._reached = max(self._reached, number)

    def count_rows_before(self, flow: Flow, num_rows: int) -> int:
        """Count the rows that would go before a flow's next request."""
        number = self._number_next(flow, num_rows)
        # A flow's rows stand one behind the other, up to its end.
        return sum(
            max(0, other.num_rows - max(0, math.ceil((other.end - number) / other.stride)))
            for other in self._flows.values()
            if other.num_rows
        )

    def _number_next(self, flow: Flow, num_rows: int) -> float:
        return max(self._reached, flow.end) + num_rows * flow.stride

    def is_below_share(self, flow: Flow, num_rows: int, max_rows: int) -> bool:
        """Say whether a flow with as many rows more has no more than an equal part of all that may wait."""
        num_flows = sum(1 for other in self._flows.values() if other.num_rows or other is flow)
        return (flow.num_rows + num_rows) * num_flows <= max_rows

    def _forget_idle(self) -> None:
        self._flows = {key: flow for key, flow in self._flows.items() if flow.num_rows}
        self._most_flows = max(_MANY_FLOWS, 2 * len(self._flows))


def _find_level(priority: int) -> int:
    """Find the level of a priority as Triton has it: 1 is the most urgent, 0 means the default."""
    return min(priority, _LEAST) if priority else _DEFAULT
