"""Free ports on the loopback address."""

from __future__ import annotations

import contextlib
import socket


def find_free_ports(count: int) -> list[int]:
    """Choose different loopback ports that nobody listens on now; another process may still take one first."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]
