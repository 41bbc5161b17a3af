"""What a server offers: methods, and what stands before them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from services.grpc_server.context import CallContext
from services.grpc_server.errors import ScreenedError

Proceed = Callable[[], Awaitable[None]]
# Awaits `proceed()` or raises a CallError; may do things before, after, and with what `proceed` raises.
Interceptor = Callable[[CallContext, Proceed], Awaitable[None]]

# Looks at a call's head; what it returns ends the call.
Screen = Callable[[CallContext], ScreenedError | None]


@dataclass(frozen=True, slots=True)
class Unary:
    """A method with one message each way."""

    answer: Callable[[bytes, CallContext], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Streaming:
    """A method that answers with any number of messages to any number of messages.

    It is not asked for its next answer before the caller has taken most of those before, and the caller sends no more
    than a window before the method has taken what came.
    """

    answer: Callable[[AsyncIterator[bytes], CallContext], AsyncIterator[bytes]]
