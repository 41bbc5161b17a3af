"""grpc.health.v1: the state of the server (''), of each model by `model` or `model/version`, and what edges ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from model_store.open_inference import SERVICE
from services.gateway.core import Gateway
from services.gateway.errors import InvalidRequestError, UnknownModelError
from services.grpc_server import CallContext, Streaming, Unary

HEALTH = "grpc.health.v1.Health"
EDGE = "millrace.Edge"  # no model's name has a dot
_Status = health_pb2.HealthCheckResponse


class HealthService:
    """Check and Watch."""

    names = (HEALTH,)

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._changed = asyncio.Event()
        self._is_closed = False

    def methods(self) -> dict[str, Unary | Streaming]:
        """List the methods by path."""
        return {f"/{HEALTH}/Check": Unary(self.check), f"/{HEALTH}/Watch": Streaming(self.watch)}

    async def check(self, data: bytes, context: CallContext) -> bytes:
        service = _decode(data).service
        status = self._status_of(service)
        if status == _Status.SERVICE_UNKNOWN:
            raise UnknownModelError(f"there is no service {service!r}; ask for '', a model, or model/version")
        return _encode(status)

    async def watch(self, requests: AsyncIterator[bytes], context: CallContext) -> AsyncIterator[bytes]:
        service = _decode(await anext(requests, b"")).service
        last = None
        while not self._is_closed:
            status = self._status_of(service)
            if status != last:
                yield _encode(status)
                last = status
            await self._changed.wait()

    def publish(self) -> None:
        """Wake those who watch."""
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """End the watches, which would keep connections open for ever."""
        self._is_closed = True
        self.publish()

    def _status_of(self, service: str) -> Any:
        if service in ("", SERVICE):
            return _Status.SERVING if self._gateway.is_ready() else _Status.NOT_SERVING
        if service == EDGE:
            return _Status.SERVING if self._gateway.wants_calls() else _Status.NOT_SERVING
        model, _, version = service.partition("/")
        try:
            variant = self._gateway.find_variant(model, version)
        except UnknownModelError:
            return _Status.SERVICE_UNKNOWN
        return _Status.SERVING if self._gateway.is_model_ready(variant) else _Status.NOT_SERVING


def _decode(data: bytes) -> Any:
    try:
        return health_pb2.HealthCheckRequest.FromString(data)
    except DecodeError:
        raise InvalidRequestError("the body is no HealthCheckRequest: truncated or not protobuf") from None


def _encode(status: Any) -> bytes:
    data: bytes = _Status(status=status).SerializeToString()
    return data
