"""Free ports on the loopback address."""

from __future__ import annotations

import contextlib
import random
import socket

# Below Linux's ephemeral ports, of which any outgoing connection may take one between the choice and its use.
_CANDIDATES = range(10_000, 32_768)
_RANDOM = random.SystemRandom()  # the seed of a run must not lead two processes to the same ports


def find_free_ports(count: int) -> list[int]:
    """Choose different loopback ports that nobody listens on now; another process may still take one first."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            opened = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                opened.bind(("127.0.0.1", _RANDOM.choice(_CANDIDATES)))
                found.append(opened.getsockname()[1])
    return found
