"""A request over a Unix socket with the standard streams of the process that it asks for."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

_HEAD_BYTES = 4
NUM_STREAMS = 3


def hand_over(server: socket.socket, request: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Send a request and three descriptors; fork_client.py does the same without importing anything."""
    body = json.dumps(request).encode()
    socket.send_fds(server, [len(body).to_bytes(_HEAD_BYTES, "big")], streams)
    server.sendall(body)


def receive(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive a request and the three standard streams, which are the caller's to close.

    Raises:
        OSError: the client left, or sent other than three descriptors.
        ValueError: what came is no JSON.
    """
    head, streams, _, _ = socket.recv_fds(client, _HEAD_BYTES, NUM_STREAMS)
    try:
        if len(streams) != NUM_STREAMS:
            raise OSError(f"{len(streams)} descriptors came, not {NUM_STREAMS}")
        size = int.from_bytes(head, "big")
        body = bytearray()
        while len(body) < size:
            part = client.recv(size - len(body))
            if not part:
                raise OSError("the client left")
            body += part
        request: dict[str, Any] = json.loads(body)
    except BaseException:
        for stream in streams:
            os.close(stream)
        raise
    return request, streams
