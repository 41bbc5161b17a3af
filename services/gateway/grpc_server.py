"""Open Inference Protocol over gRPC: a thin converter around the core, with health and reflection beside it."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from importlib import metadata
from time import monotonic
from typing import Any

import structlog
from google.protobuf.message import DecodeError

from model_store.open_inference import SERVICE, messages
from services.gateway.core import EXTENSIONS, NAME, PLATFORM, Gateway
from services.gateway.errors import GatewayError, InternalError, InvalidRequestError, status_of
from services.gateway.grpc_health import HealthService
from services.gateway.grpc_reflection import ReflectionService
from services.gateway.http2.headers import CallHead
from services.gateway.http2.server import Http2Server, Streaming, Unary
from services.gateway.http2.status import CallError
from services.gateway.oip_messages import decode_infer_request
from services.gateway.packing import encode_answer
from services.gateway.tensors import InferRequest

logger = structlog.get_logger("gateway")

# Requests that are being received may hold this many times the largest one.
BUFFERED_REQUESTS = 8


class OpenInferenceService:
    """The methods of `inference.GRPCInferenceService`, on serialized messages."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def infer(self, data: bytes, head: CallHead) -> bytes:
        request_id = head.request_id
        request: InferRequest | None = None
        try:
            request = decode_infer_request(data)
            request_id = request.id = request.id or request_id or self._gateway.new_request_id()
            request.protocol = "grpc"
            if head.timeout_s is not None:
                request.deadline_s = min(request.deadline_s, monotonic() + head.timeout_s)
            return encode_answer(await self._gateway.infer(request))
        except GatewayError as error:
            request_id = request_id or self._gateway.new_request_id()
            if request is None:
                self._gateway.record_refusal(InferRequest("", "", request_id, [], protocol="grpc"), error)
            raise self._call_error(error, request_id) from None
        except Exception:
            request_id = request_id or self._gateway.new_request_id()
            logger.exception("a request broke the gateway", request=request_id)
            broken = InternalError("the server failed; its log has the cause")
            raise self._call_error(broken, request_id) from None

    def server_live(self, message: Any) -> Any:
        return messages().ServerLiveResponse(live=True)

    def server_ready(self, message: Any) -> Any:
        return messages().ServerReadyResponse(ready=self._gateway.is_ready())

    def model_ready(self, message: Any) -> Any:
        variant = self._gateway.find_variant(message.name, message.version)
        return messages().ModelReadyResponse(ready=self._gateway.is_model_ready(variant))

    def server_metadata(self, message: Any) -> Any:
        return messages().ServerMetadataResponse(name=NAME, version=metadata.version(NAME), extensions=EXTENSIONS)

    def model_metadata(self, message: Any) -> Any:
        variant = self._gateway.find_variant(message.name, message.version)
        response = messages().ModelMetadataResponse(
            name=variant.model,
            versions=self._gateway.catalogue.versions(variant.model),
            platform=PLATFORM,
            properties=variant.manifest.properties,
        )
        for tensors, field in (
            (variant.manifest.inputs, response.inputs),
            (variant.manifest.outputs, response.outputs),
        ):
            for tensor in tensors:
                field.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        return response

    def repository_index(self, message: Any) -> Any:
        response = messages().RepositoryIndexResponse()
        for variant in self._gateway.catalogue.variants:
            state, reason = self._gateway.state_of(variant)
            if state == "READY" or not message.ready:
                response.models.add(name=variant.model, version=variant.version, state=state, reason=reason)
        return response

    def methods(self) -> dict[str, Unary]:
        """List the methods by path."""
        simple: dict[str, Callable[[Any], Any]] = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "RepositoryIndex": self.repository_index,
        }
        methods = {f"/{SERVICE}/{name}": Unary(self._wrap(name, answer)) for name, answer in simple.items()}
        return methods | {f"/{SERVICE}/ModelInfer": Unary(self.infer)}

    def _wrap(self, name: str, answer: Callable[[Any], Any]) -> Callable[[bytes, CallHead], Awaitable[bytes]]:
        async def answer_serialized(data: bytes, head: CallHead) -> bytes:
            try:
                message = getattr(messages(), f"{name}Request").FromString(data)
                serialized: bytes = answer(message).SerializeToString()
                return serialized
            except DecodeError:
                error: GatewayError = InvalidRequestError(f"the body is no {name}Request: truncated or not protobuf")
                raise self._call_error(error, head.request_id) from None
            except GatewayError as known:
                raise self._call_error(known, head.request_id) from None

        return answer_serialized

    def _call_error(self, error: GatewayError, request_id: str) -> CallError:
        request_id = request_id or self._gateway.new_request_id()
        return CallError(status_of(error).grpc, f"{error} (request {request_id})", request_id)


class GrpcServer:
    """The gRPC server with the inference, health and reflection services."""

    def __init__(self, gateway: Gateway, listener: socket.socket) -> None:
        settings = gateway.settings
        self._listener = listener
        self._health = HealthService(gateway)
        services = (SERVICE, *self._health.names)
        methods: dict[str, Unary | Streaming] = {
            **OpenInferenceService(gateway).methods(),
            **self._health.methods(),
            **ReflectionService(services).methods(),
        }
        size = settings.max_body_bytes
        self._server = Http2Server(methods, size, BUFFERED_REQUESTS * size)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    async def start(self) -> None:
        await self._server.start(self._listener)

    def update_health(self) -> None:
        """Tell those who watch grpc.health.v1 what has changed."""
        self._health.publish()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, wait for those in flight at most `grace_s`, then cut them."""
        self._health.close()
        await self._server.stop(grace_s)
        self._listener.close()
