"""What a handler offers that tells answers bit by bit: rows that are computed together, that join and leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from handlers.base import Handler, Outputs
from handlers.message import Request


@dataclass(frozen=True, slots=True)
class Part:
    """The next bit of one row's answer: its texts go on where the one before ended, all else comes with the last."""

    key: int
    outputs: Outputs
    is_last: bool
    num_tokens: int


class Session(Protocol):
    """Rows by the keys of those who wait for them."""

    @property
    def is_empty(self) -> bool:
        """Whether no row is left to compute."""

    def join(self, key: int, request: Request) -> None:
        """Take a request of one row, which begins with the next step.

        Raises:
            RowError: it cannot be answered.
        """

    def leave(self, keys: Iterable[int]) -> None:
        """Drop rows that nobody waits for; unknown ones were done already."""

    def read(self) -> bool:
        """Do for the rows that have joined what comes before their first step; returns whether there were any."""

    def advance(self) -> Sequence[Part]:
        """Do one step for all rows, once read; returns what can be told of their answers since the last one."""


class StreamingHandler(Handler):
    """A handler whose model `streams`."""

    def open_session(self) -> Session:
        """Begin a session without rows; a handler has at most one at a time."""
        raise NotImplementedError
