"""What a call may raise.

ClientError
├── BadRequestError   the request is wrong; sending it again changes nothing
├── AccessError       the server does not know who calls, or the key does not open this
├── UnknownModelError no such model or version
├── NotReadyError     no server at the address, or the model is still loading
├── OverloadedError   the server refuses more work; try again later
├── DeadlineError     no answer within the timeout
└── ServerError       the server broke; its log knows why under the request id
"""

from __future__ import annotations


class ClientError(Exception):
    """A call failed: `status` is the gRPC status name, `request_id` finds the call in the server's log."""

    def __init__(self, status: str, message: str, request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.request_id = request_id

    def __str__(self) -> str:
        # This server's messages end with the request id already.
        needs_id = self.request_id and self.request_id not in self.message
        return f"{self.message} [{self.status}{f', request {self.request_id}' if needs_id else ''}]"


class BadRequestError(ClientError):
    """The request is wrong; sending it again changes nothing."""


class AccessError(ClientError):
    """The server does not know who calls, or the caller's key does not open this."""


class UnknownModelError(ClientError):
    """No such model or version."""


class NotReadyError(ClientError):
    """No server at the address, or the model is still loading."""


class OverloadedError(ClientError):
    """The server refuses more work; try again later."""


class DeadlineError(ClientError):
    """No answer within the timeout."""


class ServerError(ClientError):
    """The server broke; its log knows why under the request id."""


_BY_STATUS: dict[str, type[ClientError]] = {
    "INVALID_ARGUMENT": BadRequestError,
    "OUT_OF_RANGE": BadRequestError,
    "UNIMPLEMENTED": BadRequestError,
    "UNAUTHENTICATED": AccessError,
    "PERMISSION_DENIED": AccessError,
    "NOT_FOUND": UnknownModelError,
    "UNAVAILABLE": NotReadyError,
    "RESOURCE_EXHAUSTED": OverloadedError,
    "DEADLINE_EXCEEDED": DeadlineError,
}


def make_error(status: str, message: str, request_id: str = "") -> ClientError:
    """Make the error of a gRPC status name; statuses that blame nobody else are the server's."""
    return _BY_STATUS.get(status, ServerError)(status, message, request_id)
