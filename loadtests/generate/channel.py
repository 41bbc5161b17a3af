"""What open loops send over: the lean gRPC channel, or REST with the same calls, also to TorchServe itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from loadtests.generate.lean_grpc import LeanChannel, OnEnd
from loadtests.generate.payload import make_bodies, make_bodies_of_rest, make_bodies_of_torchserve, make_rest_path
from loadtests.generate.plan import Traffic
from model_store.open_inference import INFER_PATH
from services.client.credentials import make_headers


class Channel(Protocol):
    """Calls with bodies of its own kind; see `LeanChannel`."""

    async def connect(self) -> None: ...
    def call(self, path: str, message: Any, timeout_s: float, on_end: OnEnd) -> None: ...
    def call_now(self, path: str, message: Any, timeout_s: float, on_end: OnEnd) -> None: ...
    async def ask(self, path: str, message: Any, timeout_s: float) -> bytes: ...
    async def aclose(self) -> None: ...


def open_channel(traffic: Traffic) -> tuple[Channel, str, Sequence[Any]]:
    """Make the channel, the path and the bodies of a plan's traffic; nothing is connected yet.

    Raises:
        ValueError: the examples lack an input.
    """
    if traffic.protocol == "grpc":
        return LeanChannel(traffic.url, traffic.tls, make_headers()), INFER_PATH, make_bodies(traffic)
    # Imported late: aiohttp takes half a second, which only REST has to wait for.
    from loadtests.generate.rest_channel import RestChannel, TorchServeChannel

    if traffic.protocol == "torchserve":
        path = f"/predictions/{traffic.model}/{traffic.version}/packed"
        return TorchServeChannel(traffic.url, traffic.tls), path, make_bodies_of_torchserve(traffic)
    path = make_rest_path(traffic.model, traffic.version)
    return RestChannel(traffic.url, traffic.tls, make_headers()), path, make_bodies_of_rest(traffic)
