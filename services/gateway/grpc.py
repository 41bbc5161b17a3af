"""Open Inference Protocol over gRPC: a thin converter around the core, with health and reflection beside it."""

from __future__ import annotations

import inspect
import socket
import ssl
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from model_store.open_inference import INFER_PATH, SERVICE, messages
from services.gateway.core import EXTENSIONS, NAME, Gateway
from services.gateway.errors import InvalidRequestError
from services.gateway.grpc_calls import read_request
from services.gateway.grpc_errors import ErrorAnswers
from services.gateway.grpc_health import HealthService
from services.gateway.grpc_messages import encode_answer
from services.gateway.grpc_reflection import ReflectionService
from services.gateway.grpc_screen import GrpcScreen, check_named_model, hide_models
from services.gateway.grpc_stream import StreamInfer
from services.gateway.load_reports import LoadTrailers
from services.gateway.model_config import PLATFORM
from services.gateway.model_control import check_parameters
from services.grpc_server import CallContext, Interceptor, Limits, Server, Streaming, Unary

# Requests that are being received may hold this many times the largest one.
BUFFERED_REQUESTS = 8


class OpenInferenceService:
    """The methods of `inference.GRPCInferenceService`, on serialized messages."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def infer(self, data: bytes, context: CallContext) -> bytes:
        request = read_request(self._gateway, data, context)
        if request.id:
            context.request_id = request.id
        else:
            request.id = context.request_id
        return encode_answer(await self._gateway.infer(request))

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

    def model_config(self, message: Any) -> Any:
        config = self._gateway.describe_config(message.name, message.version)
        return ParseDict({"config": config}, messages().ModelConfigResponse())

    async def model_statistics(self, message: Any) -> Any:
        statistics = await self._gateway.describe_statistics(message.name, message.version)
        return ParseDict(statistics, messages().ModelStatisticsResponse())

    def repository_index(self, message: Any) -> Any:
        response = messages().RepositoryIndexResponse()
        for name, version, state, reason in self._gateway.list_states():
            if state == "READY" or not message.ready:
                response.models.add(name=name, version=version, state=state, reason=reason)
        return response

    async def repository_model_load(self, message: Any) -> Any:
        check_parameters(message.parameters)
        await self._gateway.control.load(message.model_name)
        return messages().RepositoryModelLoadResponse()

    async def repository_model_unload(self, message: Any) -> Any:
        check_parameters(message.parameters)
        await self._gateway.control.unload(message.model_name)
        return messages().RepositoryModelUnloadResponse()

    def methods(self) -> dict[str, Unary | Streaming]:
        """List the methods by path."""
        simple: dict[str, Callable[[Any], Any]] = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "ModelConfig": self.model_config,
            "ModelStatistics": self.model_statistics,
            "RepositoryIndex": self.repository_index,
            "RepositoryModelLoad": self.repository_model_load,
            "RepositoryModelUnload": self.repository_model_unload,
        }
        return {
            **{f"/{SERVICE}/{name}": Unary(self._wrap(name, answer)) for name, answer in simple.items()},
            INFER_PATH: Unary(self.infer),
            f"/{SERVICE}/ModelStreamInfer": Streaming(StreamInfer(self._gateway).answer),
        }

    def _wrap(self, name: str, answer: Callable[[Any], Any]) -> Callable[[bytes, CallContext], Awaitable[bytes]]:
        async def answer_serialized(data: bytes, context: CallContext) -> bytes:
            try:
                message = getattr(messages(), f"{name}Request").FromString(data)
            except DecodeError:
                raise InvalidRequestError(f"the body is no {name}Request: truncated or not protobuf") from None
            if self._gateway.guard is not None:
                check_named_model(self._gateway.guard, message, context)
            response = answer(message)
            if inspect.isawaitable(response):
                response = await response
            if self._gateway.guard is not None:
                hide_models(response, context)
            serialized: bytes = response.SerializeToString()
            return serialized

        return answer_serialized


class GrpcServer:
    """The gRPC server with the inference, health and reflection services."""

    def __init__(self, gateway: Gateway, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        settings = gateway.settings
        self._listener = listener
        self._tls = tls
        self._health = HealthService(gateway)
        services = (SERVICE, *self._health.names)
        methods: dict[str, Unary | Streaming] = {
            **OpenInferenceService(gateway).methods(),
            **self._health.methods(),
            **ReflectionService(services).methods(),
        }
        size = settings.max_body_bytes
        limits = Limits(
            max_message_bytes=size,
            max_received_bytes=BUFFERED_REQUESTS * size,
            max_age_s=settings.max_connection_age_s,
        )
        interceptors: list[Interceptor] = [ErrorAnswers(gateway)]
        if gateway.load_reports is not None:
            interceptors.append(LoadTrailers(gateway.load_reports))
        self._server = Server(
            methods,
            limits,
            interceptors=interceptors,
            screen=None if gateway.guard is None else GrpcScreen(gateway.guard),
            new_request_id=gateway.new_request_id,
        )

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    async def start(self) -> None:
        await self._server.start(self._listener, self._tls)

    def update_health(self) -> None:
        """Tell those who watch grpc.health.v1 what has changed."""
        self._health.publish()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, wait for those in flight at most `grace_s`, then cut them."""
        self._health.close()
        await self._server.stop(grace_s)
        self._listener.close()
