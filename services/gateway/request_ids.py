"""Every HTTP answer carries a request id, also where the application breaks."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.errors import SERVER_FAILED, InternalError
from services.gateway.rest_errors import make_error_response

logger = structlog.get_logger("gateway")

HEADER = b"x-request-id"
MAX_ID_BYTES = 128


class RequestIds:
    """ASGI middleware: takes or makes an id, sets `request.state.id`, and answers what nothing else has answered."""

    def __init__(self, app: ASGIApp, new_request_id: Callable[[], str]) -> None:
        self._app = app
        self._new_request_id = new_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER, b"")[:MAX_ID_BYTES].decode("latin-1")
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["id"] = given or self._new_request_id()
        is_started = False

        async def send_with_id(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                # Read now: the body may have brought another one.
                message["headers"] = [*message.get("headers", ()), (HEADER, _encode_id(state["id"]))]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            return
        except Exception:
            logger.exception("a request broke the gateway", request=state["id"])
            if is_started:
                raise
            error = InternalError(SERVER_FAILED)
            await make_error_response(error, state["id"])(scope, receive, send_with_id)


def _encode_id(request_id: str) -> bytes:
    """Write an id as a header may hold it: one that came in a body is any text."""
    text = "".join([character if character.isprintable() else "?" for character in request_id[:MAX_ID_BYTES]])
    return text.encode("latin-1", "replace")
