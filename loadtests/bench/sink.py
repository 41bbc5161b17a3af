"""A gRPC server that answers every call at once, run as a process: what a generator does where nothing holds it up."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen
from typing import cast

import ngh2
import uvloop

from host.child import end_with_parent

HEADERS = [(b":status", b"200"), (b"content-type", b"application/grpc")]
EMPTY_MESSAGE = bytes(5)
TRAILERS = [(b"grpc-status", b"0")]


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._session = ngh2.Connection(ngh2.Role.SERVER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._session.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._session.receive_data(data)
        for event in self._session.events():
            if isinstance(event, ngh2.DataReceived) and event.end_stream:
                self._session.send_response(event.stream_id, HEADERS)
                self._session.send_data(event.stream_id, EMPTY_MESSAGE)
                self._session.send_trailers(event.stream_id, TRAILERS)
        self._flush()

    def _flush(self) -> None:
        while data := self._session.data_to_send(1 << 20):
            self._transport.write(data)


@contextmanager
def run_sink() -> Iterator[str]:
    """Run the server for a while; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number, port = listener.fileno(), listener.getsockname()[1]
        command = [sys.executable, "-m", "loadtests.bench.sink", str(number)]
        process = Popen(command, pass_fds=(number,), preexec_fn=end_with_parent)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def _serve(listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(socket.socket(fileno=int(sys.argv[1]))))
