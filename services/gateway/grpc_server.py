"""Open Inference Protocol over gRPC: a thin converter around the core.

Methods take and give bytes, so that nothing is decoded or encoded twice; the message classes come from a private
descriptor pool (see model_store/protobuf.py), and so does what reflection shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import metadata
from time import monotonic
from typing import Any

import grpc
import structlog
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from model_store.open_inference import SERVICE, messages
from services.gateway.core import NAME, Gateway
from services.gateway.errors import GatewayError, InternalError, InvalidRequestError, status_of
from services.gateway.http_server import PortTakenError, describe_taken_port
from services.gateway.oip_messages import decode_infer_request
from services.gateway.packing import encode_answer

logger = structlog.get_logger("gateway")

Handler = Callable[[bytes, Any], Awaitable[bytes]]
# Triton names its extensions alike; the binary tensor extension is REST's.
EXTENSIONS = ("model_repository", "binary_tensor_data", "parameters")


class OpenInferenceService:
    """The methods of `inference.GRPCInferenceService`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def infer(self, data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        request_id = ""
        try:
            request = decode_infer_request(data)
            request_id = request.id = request.id or self._gateway.new_request_id()
            remaining_s = context.time_remaining()
            if remaining_s is not None:
                request.deadline_s = min(request.deadline_s, monotonic() + remaining_s)
            return encode_answer(await self._gateway.infer(request))
        except GatewayError as error:
            return await _abort(context, error, request_id or self._gateway.new_request_id())
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception:
            request_id = request_id or self._gateway.new_request_id()
            logger.exception("a request broke the gateway", request=request_id)
            return await _abort(context, InternalError("the server failed; its log has the cause"), request_id)

    async def server_live(self, data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return _encode(messages().ServerLiveResponse(live=True))

    async def server_ready(self, data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return _encode(messages().ServerReadyResponse(ready=self._gateway.is_ready()))

    async def model_ready(self, data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            request = _decode(messages().ModelReadyRequest, data)
            variant = self._gateway.find_variant(request.name, request.version)
        except GatewayError as error:
            return await _abort(context, error, self._gateway.new_request_id())
        return _encode(messages().ModelReadyResponse(ready=self._gateway.is_model_ready(variant)))

    async def server_metadata(self, data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return _encode(
            messages().ServerMetadataResponse(name=NAME, version=metadata.version(NAME), extensions=EXTENSIONS)
        )

    async def model_metadata(self, data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            request = _decode(messages().ModelMetadataRequest, data)
            variant = self._gateway.find_variant(request.name, request.version)
        except GatewayError as error:
            return await _abort(context, error, self._gateway.new_request_id())
        response = messages().ModelMetadataResponse(
            name=variant.model, versions=self._gateway.catalogue.versions(variant.model), platform="pytorch_torchserve"
        )
        for tensor in variant.manifest.inputs:
            response.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        for tensor in variant.manifest.outputs:
            response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        return _encode(response)

    async def repository_index(self, data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            request = _decode(messages().RepositoryIndexRequest, data)
        except GatewayError as error:
            return await _abort(context, error, self._gateway.new_request_id())
        response = messages().RepositoryIndexResponse()
        for variant in self._gateway.catalogue.variants:
            state, reason = self._gateway.state_of(variant)
            if state == "READY" or not request.ready:
                response.models.add(name=variant.model, version=variant.version, state=state, reason=reason)
        return _encode(response)

    def handlers(self) -> grpc.GenericRpcHandler:
        """Make the handler of the whole service, on raw bytes."""
        methods: dict[str, Handler] = {
            "ModelInfer": self.infer,
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "RepositoryIndex": self.repository_index,
        }
        return grpc.method_handlers_generic_handler(
            SERVICE, {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
        )


class GrpcServer:
    """The gRPC server with the inference, health and reflection services."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        settings = gateway.settings
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", settings.max_body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # else a second server shares a taken port in silence
            )
        )
        self._server.add_generic_rpc_handlers((OpenInferenceService(gateway).handlers(),))
        self._health: Any = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server, pool=_describe_services())
        # Also binds, so that a taken port shows before anything else is started.
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            self.port = self._server.add_insecure_port(f"{host}:{settings.grpc_port}")
        except RuntimeError:
            raise PortTakenError(describe_taken_port(settings.host, settings.grpc_port, "grpc_port")) from None

    async def start(self) -> None:
        await self._server.start()

    async def update_health(self) -> None:
        """Publish the state of the server and of each model to grpc.health.v1."""
        for name in ("", SERVICE):
            await self._health.set(name, _serving(self._gateway.is_ready()))
        for variant in self._gateway.catalogue.variants:
            status = _serving(self._gateway.is_model_ready(variant))
            await self._health.set(f"{variant.model}/{variant.version}", status)
            if variant is self._gateway.catalogue.find(variant.model):
                await self._health.set(variant.model, status)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, wait for those in flight at most `grace_s`, then cancel them."""
        await self._server.stop(grace_s)


def _describe_services() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    oip = messages().ModelInferRequest.DESCRIPTOR.file
    for file in (oip, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        description = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(description)
        pool.Add(description)
    return pool


def _serving(is_ready: bool) -> Any:
    status = health_pb2.HealthCheckResponse
    return status.SERVING if is_ready else status.NOT_SERVING


def _decode(message_class: Any, data: bytes) -> Any:
    try:
        return message_class.FromString(data)
    except DecodeError:
        raise InvalidRequestError(
            f"the body is no {message_class.DESCRIPTOR.name}: truncated or not protobuf"
        ) from None


def _encode(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


async def _abort(context: grpc.aio.ServicerContext, error: GatewayError, request_id: str) -> bytes:
    context.set_trailing_metadata((("x-request-id", request_id),))
    await context.abort(status_of(error).grpc, f"{error} (request {request_id})")
    raise AssertionError("abort raises")
