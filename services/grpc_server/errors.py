"""What ends a call with a status other than OK, and what this library itself refuses.

CallError                               raised by methods and interceptors, with any status
└── RefusedError                        refused by this library:
    ├── UnknownMethodError          there is no method at that path
    ├── NotGrpcError                the content-type is not gRPC's
    ├── MessageTooLargeError        larger than the server takes; known from its first five bytes
    ├── MalformedMessageError       not one message with its prefix, or not decompressible
    ├── UnsupportedCompressionError compressed by something else than gzip or deflate
    ├── BusyReceivingError          too much is being received at once
    ├── DeadlineExceededError       the caller's deadline has passed
    ├── ScreenedError               the server's screen lets no call with such a head in
    └── MethodBrokeError            the method raised something else; its text stays in the log

Interceptors see these raised by `proceed`, as they see what methods raise, and may turn them into others.
"""

from __future__ import annotations

from typing import ClassVar

from services.grpc_server.status import GrpcStatus


class CallError(Exception):
    """A call that ends with a status other than OK; the text goes to the caller.

    `http_status` is for callers who may not speak gRPC; it is sent where nothing else was before.
    """

    def __init__(self, status: GrpcStatus, message: str, http_status: int = 200) -> None:
        super().__init__(message)
        self.status = status
        self.http_status = http_status


class RefusedError(CallError):
    """A call that this library refuses."""

    code: ClassVar[GrpcStatus]

    def __init__(self, message: str) -> None:
        super().__init__(self.code, message)


class UnknownMethodError(RefusedError):
    """There is no method at that path."""

    code = GrpcStatus.UNIMPLEMENTED


class NotGrpcError(RefusedError):
    """The content-type is not gRPC's; such callers read the HTTP status."""

    code = GrpcStatus.INVALID_ARGUMENT

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.http_status = 415


class MessageTooLargeError(RefusedError):
    """The message is larger than the server takes."""

    code = GrpcStatus.RESOURCE_EXHAUSTED


class MalformedMessageError(RefusedError):
    """Not one message with its prefix, or not decompressible."""

    code = GrpcStatus.INTERNAL


class UnsupportedCompressionError(RefusedError):
    """Compressed by something else than gzip or deflate."""

    code = GrpcStatus.UNIMPLEMENTED


class BusyReceivingError(RefusedError):
    """Too much is being received at once."""

    code = GrpcStatus.RESOURCE_EXHAUSTED


class DeadlineExceededError(RefusedError):
    """The caller's deadline has passed."""

    code = GrpcStatus.DEADLINE_EXCEEDED


class ScreenedError(RefusedError):
    """The server's screen lets no call with such a head in; `reason` is the screen's own error."""

    code = GrpcStatus.PERMISSION_DENIED

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class MethodBrokeError(RefusedError):
    """The method raised what is no CallError."""

    code = GrpcStatus.INTERNAL
