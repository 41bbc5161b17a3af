"""Calls over REST, of what a server offers there alone; what goes over gRPC too is `client.py`'s."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from model_store.settings import DEFAULT_REST_PORT
from services.client.credentials import make_headers
from services.client.errors import ClientError, ServerError, make_error
from services.client.rest_wire import HEADER_SIZE, RestBody, decode_rest_answer
from services.client.tls import NO_TLS, Tls
from services.client.wire import Answer

# What gRPC calls the statuses of HTTP that a server answers with; others below 500 are the request's own fault.
_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestClient:
    """Call a server over HTTP and wait for the answer; every call has a connection of its own."""

    def __init__(self, url: str, *, timeout_s: float = 30.0, api_key: str | None = None, tls: Tls = NO_TLS) -> None:
        """`url` is host:port, with or without http:// or https:// before it; `tls` and `api_key` are as in `Client`."""
        address = tls.strip_scheme(url).removeprefix("http://").rstrip("/")
        if "/" in address:
            raise ValueError(f"{url!r} is no host:port; give the REST port, {DEFAULT_REST_PORT} by default")
        self.url = f"{'https' if tls.is_wanted(url) else 'http'}://{address}"
        self._context = tls.make_context() if tls.is_wanted(url) else None
        self._timeout_s = timeout_s
        self._headers = make_headers(api_key)

    def get(self, path: str) -> Any:
        """Ask for what lies at a path, JSON.

        Raises:
            ClientError: the server refused or did not answer; the subclass says which.
        """
        return json.loads(self._ask(urllib.request.Request(self.url + path, headers=self._headers))[0])

    def post(self, path: str, request: RestBody) -> Answer:
        """Send a request with binary tensors, and decode its answer.

        Raises:
            ClientError: the server refused or did not answer; the subclass says which.
        """
        headers = request.headers | self._headers
        body, json_size = self._ask(urllib.request.Request(self.url + path, request.body, headers))
        try:
            return decode_rest_answer(body, int(json_size or len(body)))
        except ValueError as error:
            raise ServerError("INTERNAL", f"the server's answer cannot be read: {error}") from None

    def _ask(self, request: urllib.request.Request) -> tuple[bytes, str | None]:
        """Give the answer's body, and what its head says of the length of a JSON part."""
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s, context=self._context) as response:
                return response.read(), response.headers[HEADER_SIZE]
        except urllib.error.HTTPError as error:
            raise _read_refusal(error) from None
        except TimeoutError:
            raise self._explain_lateness() from None
        except (OSError, HTTPException) as error:
            raise self._explain_silence(getattr(error, "reason", error)) from None

    def _explain_lateness(self) -> ClientError:
        return make_error("DEADLINE_EXCEEDED", f"no answer within {self._timeout_s:g} s; --timeout is how long to wait")

    def _explain_silence(self, reason: object) -> ClientError:
        if isinstance(reason, TimeoutError):
            return self._explain_lateness()
        if isinstance(reason, ConnectionRefusedError):
            message = f"nothing answers at {self.url}; start a server (`serve`) or give another address"
        else:
            message = (
                f"{self.url} does not answer as REST does: {reason}; the REST port is {DEFAULT_REST_PORT} by default"
            )
        return make_error("UNAVAILABLE", message)


def _read_refusal(error: urllib.error.HTTPError) -> ClientError:
    """The server's own words, where its answer has some."""
    body = error.read()
    try:
        refusal = json.loads(body)
        message, request_id = str(refusal["error"]), str(refusal.get("request", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        message, request_id = f"HTTP {error.code} {error.reason}", ""
    fault = "INVALID_ARGUMENT" if error.code < 500 else "INTERNAL"
    return make_error(_STATUSES.get(error.code, fault), message, request_id)
