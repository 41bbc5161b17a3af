"""Streams that wait for a place in a session, in the order in which they get one; shares.py says whose turn it is."""

from __future__ import annotations

from bisect import insort_right
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeVar

from services.gateway.shares import Flow, Shares
from services.gateway.tensors import InferRequest

Stream = TypeVar("Stream")
_number_of = attrgetter("number")


@dataclass(slots=True, eq=False)
class _Entry(Generic[Stream]):
    stream: Stream
    number: float
    flow: Flow | None  # none: it has had its turn


class StreamQueue(Generic[Stream]):
    """A stream counts as one row, so that callers have equal shares of the places."""

    def __init__(self) -> None:
        self._shares = Shares()
        self._entries: list[_Entry[Stream]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def enter(self, stream: Stream, request: InferRequest) -> None:
        """Take a stream in."""
        flow = self._shares.find_flow(request)
        insort_right(self._entries, _Entry(stream, self._shares.enter(flow, 1), flow), key=_number_of)

    def enter_again(self, stream: Stream) -> None:
        """Take in a stream whose session has failed: it goes first."""
        insort_right(self._entries, _Entry(stream, 0.0, None), key=_number_of)

    def take(self) -> Stream:
        """Take out the stream whose turn it is."""
        entry = self._entries.pop(0)
        self._shares.reach(entry.number)
        self._settle(entry)
        return entry.stream

    def leave(self, stream: Stream) -> None:
        """Take out a stream whose caller has left, if it still waits."""
        for index, entry in enumerate(self._entries):
            if entry.stream is stream:
                del self._entries[index]
                self._settle(entry)
                return

    def count_before(self, request: InferRequest) -> int:
        """Count the streams that would have their turn before a request's."""
        num_again = sum(entry.flow is None for entry in self._entries)
        return num_again + self._shares.count_rows_before(self._shares.find_flow(request), 1)

    def is_below_share(self, request: InferRequest, most: int) -> bool:
        """Say whether a request's caller would then have no more than an equal part of the streams that may wait."""
        return self._shares.is_below_share(self._shares.find_flow(request), 1, most)

    def _settle(self, entry: _Entry[Stream]) -> None:
        if entry.flow is not None:
            self._shares.leave(entry.flow, 1)
