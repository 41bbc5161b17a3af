"""The gateway that test_crowd.py crowds, in a process of its own; prints its ports, ends when its input does."""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from pathlib import Path

import uvloop

from host.descriptors import allow_many_descriptors
from services.catalogue import Catalogue
from services.garbage import collect_garbage_rarely
from services.gateway.core import Gateway
from services.gateway.grpc import GrpcServer
from services.gateway.http_server import HttpServer, open_port
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from tests.services.gateway.conftest import DoublingBackend, make_manifest, make_variant


async def _serve() -> None:
    with tempfile.TemporaryDirectory() as folder:
        variant = make_variant(make_manifest(), Path(folder))
        gateway = Gateway(Catalogue([variant]), DoublingBackend(), GatewaySettings(drift_rows_per_s=0))
        grpc = GrpcServer(gateway, socket.create_server(("127.0.0.1", 0)))
        await grpc.start()
        http = HttpServer(make_app(gateway), open_port("127.0.0.1", 0, "http_port"))
        http.start()
        collect_garbage_rarely()
        print(grpc.port, http.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await asyncio.gather(grpc.stop(0), http.stop(0))


if __name__ == "__main__":
    allow_many_descriptors()
    uvloop.run(_serve())
