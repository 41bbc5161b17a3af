"""Refuse large HTTP bodies before they are read."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.errors import BodyTooLargeError
from services.gateway.rest_errors import make_error_response


class BodyLimit:
    """ASGI middleware: 413 from the announced length at once, or when a body of unknown length passes the limit."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._max_body_bytes:
            await self._refuse(scope, receive, send)
            return
        received = 0
        is_answered = False

        async def limited_receive() -> Message:
            nonlocal received, is_answered
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                if not is_answered:
                    is_answered = True
                    await self._refuse(scope, receive, send)
                return {"type": "http.disconnect"}
            return message

        async def send_unless_answered(message: Message) -> None:
            if not is_answered:
                await send(message)

        await self._app(scope, limited_receive, send_unless_answered)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = BodyTooLargeError(
            f"the body is larger than {self._max_body_bytes} bytes; send fewer rows at once, or have the server's "
            "MILLRACE_MAX_BODY_MIB raised"
        )
        response = make_error_response(error, scope["state"]["id"])
        response.headers["connection"] = "close"
        await response(scope, receive, send)
