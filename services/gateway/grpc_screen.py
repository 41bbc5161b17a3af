"""Who calls by gRPC: asked when a call's head is here, before its message."""

from __future__ import annotations

from typing import Any

from services.gateway.access import Guard
from services.gateway.caller import Caller, may_see
from services.gateway.errors import GatewayError
from services.gateway.operations import operation_of_grpc
from services.grpc_server import CallContext
from services.grpc_server.errors import ScreenedError


class GrpcScreen:
    """Leaves the caller's key in `context.credential`, or says why the call is refused."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def __call__(self, context: CallContext) -> ScreenedError | None:
        operation = operation_of_grpc(context.path)
        if operation is None:
            return None
        try:
            context.credential = self._guard.admit(
                operation,
                context.header("authorization"),
                context.header("x-api-key"),
                context,
            )
        except GatewayError as error:
            return ScreenedError(error)
        return None


def check_named_model(guard: Guard, message: Any, context: CallContext) -> None:
    """Refuse a message that names, or by its silence means, a model that the caller's key is not for.

    Raises:
        PermissionDeniedError: says what the key is for.
    """
    operation = operation_of_grpc(context.path)
    for field in ("name", "model_name"):
        if operation is not None and field in message.DESCRIPTOR.fields_by_name:
            guard.check_model(context, operation.verb, getattr(message, field))


def hide_models(response: Any, caller: Caller) -> None:
    """Leave out of a list of models those that the caller's key is not for."""
    if "models" in response.DESCRIPTOR.fields_by_name:
        seen = [row for row in response.models if may_see(caller, row.name)]
        del response.models[:]
        response.models.extend(seen)
