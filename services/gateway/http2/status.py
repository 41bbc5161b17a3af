"""Statuses with which gRPC calls end."""

from __future__ import annotations

from enum import IntEnum


class GrpcStatus(IntEnum):
    """Status codes of gRPC. Source: statuscodes.md of grpc/grpc."""

    OK = 0
    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class CallError(Exception):
    """A call that ends with a status other than OK."""

    def __init__(self, status: GrpcStatus, message: str, request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
