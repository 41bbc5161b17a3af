"""What inferences over REST have in common."""

from __future__ import annotations

from starlette.requests import Request

from services.catalogue import ServedVariant
from services.gateway.caller import KnownCaller
from services.gateway.core import Gateway
from services.gateway.provenance import HEADER
from services.gateway.rest_screen import describe_caller
from services.gateway.tensors import InferRequest


def route(gateway: Gateway, request: Request, model: str, version: str) -> tuple[ServedVariant, KnownCaller]:
    """Find the variant that answers, before the body says what is asked; also say who asks, whom it may depend on.

    Raises:
        UnknownModelError: names what there is.
    """
    caller = describe_caller(request)
    return gateway.route(InferRequest(model, version, request.state.id, [], caller=caller)), caller


def note_caller(decoded: InferRequest, request: Request, caller: KnownCaller | None = None) -> None:
    """Add to a request what its headers and its connection say; `caller` where that is known already."""
    decoded.protocol, decoded.caller = "http", caller or describe_caller(request)
    decoded.wants_provenance = decoded.wants_provenance or HEADER in request.headers
