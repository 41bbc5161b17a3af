"""What can go wrong with a request, from its bytes to the worker, and the one table to gRPC and HTTP status.

GatewayError
├── InvalidRequestError     the request is wrong and will stay wrong
│   ├── BodyTooLargeError   it is larger than this server takes
│   ├── UnknownPathError    there is no such method or page
│   ├── UnsupportedEncodingError  it is compressed or typed in a way that is not taken
│   └── ChangedMeanwhileError  it was to change what somebody else has changed since its caller looked
├── UnauthenticatedError    nobody knows who calls: no key, an unknown or an expired one
├── PermissionDeniedError   the caller is known and may not
├── UnknownModelError       no such model, version or output
├── NotReadyError           the model or the server cannot answer now, but will: the call may be repeated
│   └── WorkerDiedError     its worker's process ended during the call, perhaps because of it
├── OverloadedError         too much is waiting; send less or later
├── DeadlineError           no answer before the caller's deadline or the server's limit
└── InternalError           our fault; details are in the log under the request's id
"""

from __future__ import annotations

from typing import NamedTuple

from services.grpc_server.status import GrpcStatus


class GatewayError(Exception):
    """A request that gets no answer; the text says what was wrong, what was received and what to do.

    `cause` is what happened inside, where the text may not say it: for the log, never for a caller.
    """

    def __init__(self, text: str, *, cause: str = "") -> None:
        super().__init__(text)
        self.cause = cause


class InvalidRequestError(GatewayError):
    """The request is wrong and will stay wrong."""


class BodyTooLargeError(InvalidRequestError):
    """The request is larger than this server takes."""


class UnknownPathError(InvalidRequestError):
    """There is no such method or page."""


class UnsupportedEncodingError(InvalidRequestError):
    """The request is compressed, or of a content type, that is not taken."""


class ChangedMeanwhileError(InvalidRequestError):
    """What the request was to change is no more what its caller has seen."""


class UnauthenticatedError(GatewayError):
    """Nobody knows who calls: no key, an unknown one, or one that has expired."""


class PermissionDeniedError(GatewayError):
    """The caller is known and may not do this, or not with this model."""


class UnknownModelError(GatewayError):
    """There is no such model or version."""


class NotReadyError(GatewayError):
    """The model or the server cannot answer now; its workers died, are starting, or are being restarted."""


class WorkerDiedError(NotReadyError):
    """The worker's process ended during the call."""


class OverloadedError(GatewayError):
    """Too much is waiting; `retry_after_s` says when it may be less, where that is known."""

    def __init__(self, text: str, *, cause: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(text, cause=cause)
        self.retry_after_s = retry_after_s


class DeadlineError(GatewayError):
    """No answer in time."""


class InternalError(GatewayError):
    """Something here is broken; the text is for the caller and names no internals."""


# What a caller reads when a model breaks.
SERVER_FAILED = "the server failed; its log has the cause"
MODEL_FAILED = "the model failed on this request; the server's log has the cause under this request's id"
MODEL_DIES = (
    "the model's worker ended each time it was given this request, which is not tried again for some minutes; compare "
    "its values and sizes with what the model takes"
)


class Status(NamedTuple):
    grpc: GrpcStatus
    http: int
    outcome: str


OK = Status(GrpcStatus.OK, 200, "ok")
CANCELLED = Status(GrpcStatus.CANCELLED, 499, "cancelled")  # the caller left; 499 as nginx logs it
STATUSES: dict[type[GatewayError], Status] = {
    InvalidRequestError: Status(GrpcStatus.INVALID_ARGUMENT, 400, "invalid"),
    BodyTooLargeError: Status(GrpcStatus.INVALID_ARGUMENT, 413, "too_large"),
    UnknownPathError: Status(GrpcStatus.UNIMPLEMENTED, 404, "unknown_path"),
    UnsupportedEncodingError: Status(GrpcStatus.UNIMPLEMENTED, 415, "unsupported"),
    ChangedMeanwhileError: Status(GrpcStatus.ABORTED, 412, "changed_meanwhile"),
    UnauthenticatedError: Status(GrpcStatus.UNAUTHENTICATED, 401, "unauthenticated"),
    PermissionDeniedError: Status(GrpcStatus.PERMISSION_DENIED, 403, "denied"),
    UnknownModelError: Status(GrpcStatus.NOT_FOUND, 404, "unknown_model"),
    NotReadyError: Status(GrpcStatus.UNAVAILABLE, 503, "not_ready"),
    WorkerDiedError: Status(GrpcStatus.UNAVAILABLE, 503, "worker_died"),
    OverloadedError: Status(GrpcStatus.RESOURCE_EXHAUSTED, 429, "overloaded"),
    DeadlineError: Status(GrpcStatus.DEADLINE_EXCEEDED, 504, "deadline"),
    InternalError: Status(GrpcStatus.INTERNAL, 500, "internal"),
}


def status_of(error: GatewayError) -> Status:
    """Look up the statuses of an error."""
    return STATUSES[type(error)]
