"""How REST says that a request failed: the status of errors.py's table, the text, and the request id."""

from __future__ import annotations

import json
import math

from starlette.responses import Response

from services.gateway.errors import GatewayError, OverloadedError, UnauthenticatedError, status_of


def make_error_response(error: GatewayError, request_id: str, http_status: int | None = None) -> Response:
    """Make the answer to a request that failed; `http_status` where HTTP has a closer one than the table."""
    body = json.dumps({"error": str(error), "request": request_id}).encode()
    headers = {}
    if isinstance(error, OverloadedError) and error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))  # whole seconds, as HTTP has it
    if isinstance(error, UnauthenticatedError):
        headers["www-authenticate"] = "Bearer"
    return Response(body, http_status or status_of(error).http, headers, media_type="application/json")
