"""gRPC server reflection, so that `grpcurl` and the like know the services without files of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from model_store.open_inference import messages
from services.gateway.errors import InvalidRequestError
from services.grpc_server import CallContext, GrpcStatus, Streaming

# Both versions have the same messages; clients try the first one first.
REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class ReflectionService:
    """ServerReflectionInfo on a private descriptor pool that holds all our services."""

    def __init__(self, services: Sequence[str]) -> None:
        self._services = sorted((*services, *REFLECTION))
        self._pool = descriptor_pool.DescriptorPool()
        self._files: dict[str, bytes] = {}
        open_inference = messages().ModelInferRequest.DESCRIPTOR.file
        for file in (open_inference, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
            description = descriptor_pb2.FileDescriptorProto()
            file.CopyToProto(description)
            self._pool.Add(description)
            self._files[file.name] = file.serialized_pb

    def methods(self) -> dict[str, Streaming]:
        """List the methods by path."""
        return {f"/{name}/ServerReflectionInfo": Streaming(self.answer) for name in REFLECTION}

    async def answer(self, requests: AsyncIterator[bytes], context: CallContext) -> AsyncIterator[bytes]:
        async for data in requests:
            try:
                request = reflection_pb2.ServerReflectionRequest.FromString(data)
            except DecodeError:
                text = "the body is no ServerReflectionRequest: truncated or not protobuf"
                raise InvalidRequestError(text) from None
            response: Any = reflection_pb2.ServerReflectionResponse(original_request=request)
            self._fill(request, response)
            yield response.SerializeToString()

    def _fill(self, request: Any, response: Any) -> None:
        kind = request.WhichOneof("message_request")
        try:
            if kind == "list_services":
                for name in self._services:
                    response.list_services_response.service.add(name=name)
            elif kind == "file_by_filename":
                response.file_descriptor_response.file_descriptor_proto.append(self._files[request.file_by_filename])
            elif kind == "file_containing_symbol":
                symbol = request.file_containing_symbol.replace(*REFLECTION)
                file = self._pool.FindFileContainingSymbol(symbol)
                response.file_descriptor_response.file_descriptor_proto.append(self._files[file.name])
            else:
                _refuse(response, GrpcStatus.UNIMPLEMENTED, f"{kind} is not answered: there are no extensions")
        except KeyError as error:
            _refuse(response, GrpcStatus.NOT_FOUND, f"there is no {error}")


def _refuse(response: Any, status: GrpcStatus, text: str) -> None:
    response.error_response.error_code = int(status)
    response.error_response.error_message = text
