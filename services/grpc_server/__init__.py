"""A gRPC server on libnghttp2 and asyncio: methods by path, one context a call, interceptors, flow control."""

from services.grpc_server.context import CallContext
from services.grpc_server.errors import CallError
from services.grpc_server.limits import Limits
from services.grpc_server.methods import Interceptor, Proceed, Streaming, Unary
from services.grpc_server.server import Server
from services.grpc_server.status import GrpcStatus

__all__ = [
    "CallContext",
    "CallError",
    "GrpcStatus",
    "Interceptor",
    "Limits",
    "Proceed",
    "Server",
    "Streaming",
    "Unary",
]
