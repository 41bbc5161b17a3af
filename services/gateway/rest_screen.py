"""Who calls by REST: asked before a request's body is read."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.access import Guard
from services.gateway.caller import KnownCaller
from services.gateway.core import Gateway
from services.gateway.edges import TrustedEdges
from services.gateway.errors import GatewayError
from services.gateway.keys import Verb
from services.gateway.operations import operation_of_http
from services.gateway.rest_errors import make_error_response
from services.gateway.tensors import InferRequest

# The page sets it for one path and some seconds; services/console/files/reports.js.
FRAME_COOKIE = "millrace-key"
_FRAMED = re.compile("/api/reports/[^/]+/page")


class RestScreen:
    """ASGI middleware: leaves the caller's key in `request.state.credential`, or answers 401 or 403."""

    def __init__(self, app: ASGIApp, gateway: Gateway, guard: Guard) -> None:
        self._app = app
        self._gateway = gateway
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = operation_of_http(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if operation is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        headers = request.headers
        caller = describe_caller(request)
        try:
            request.state.credential = self._guard.admit(
                operation,
                headers.get("authorization", ""),
                headers.get("x-api-key", "") or _read_frame_key(request),
                caller,
            )
        except GatewayError as error:
            if operation.verb is Verb.INFER:
                refused = InferRequest("", "", request.state.id, [], protocol="http", caller=caller)
                self._gateway.journal.refuse_early(refused, error)
            await make_error_response(error, request.state.id)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _read_frame_key(request: Request) -> str:
    """The key for a report's page: a frame, which alone may run its scripts, can send cookies and no headers."""
    is_frame = request.method == "GET" and _FRAMED.fullmatch(request.url.path)
    return request.cookies.get(FRAME_COOKIE, "") if is_frame else ""


class EdgeNames:
    """ASGI middleware: leaves what a trusted edge says of who asks in `request.state.named_by_edge`."""

    def __init__(self, app: ASGIApp, edges: TrustedEdges) -> None:
        self._app = app
        self._edges = edges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            request.state.named_by_edge = self._edges.find_name(describe_caller(request))
        await self._app(scope, receive, send)


def describe_caller(request: Request) -> KnownCaller:
    """Say who sent a request, with what the screen and the connection have found out."""
    peer = f"{request.client.host}:{request.client.port}" if request.client is not None else ""
    state = request.scope["state"]
    credential, certificate = state.get("credential"), state.get("certificate", "")
    return KnownCaller(
        peer, dict(request.headers), credential, certificate, state["id"], state.get("named_by_edge", "")
    )
