"""REST requests that reach no model are counted and logged too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from services.gateway.caller import KnownCaller
from services.gateway.core import Gateway
from services.gateway.errors import GatewayError
from services.gateway.tensors import InferRequest


@contextmanager
def recording_refusals(gateway: Gateway, request: Request, model: str, version: str) -> Iterator[None]:
    """Record an error of the block as the refusal of a request."""
    try:
        yield
    except GatewayError as error:
        gateway.journal.refuse_early(InferRequest(model, version, request.state.id, [], protocol="http"), error)
        raise


def note_refusal(gateway: Gateway, error: GatewayError, peer: str) -> str:
    """Record that the transport refused what was no request; returns the id that it is given."""
    request = InferRequest("", "", gateway.new_request_id(), [], protocol="http", caller=KnownCaller(peer))
    gateway.journal.refuse_early(request, error)
    return request.id
