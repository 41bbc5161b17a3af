"""What an operation asks of a transport.

An operation is a generator: it yields the calls it wants made, together, and receives their answers in the same order.
It knows neither sockets nor event loops, so the sync and the async client run the very same one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import uuid4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One unary call of the Open Inference service; `timeout_s` None means the client's default."""

    method: str
    body: bytes
    timeout_s: float | None = None
    request_id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Following(Generic[T]):
    """A request to be answered bit by bit, and what is made of each bit."""

    call: Call
    read: Callable[[bytes], T]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before going on."""

    duration_s: float


Steps = Generator[Sequence[Call] | Pause, Any, T]
