"""What inferences over REST have in common."""

from __future__ import annotations

from starlette.requests import Request

from services.gateway.provenance import HEADER
from services.gateway.rest_screen import describe_caller
from services.gateway.tensors import InferRequest


def note_caller(decoded: InferRequest, request: Request) -> None:
    """Add to a request what its headers and its connection say."""
    decoded.protocol, decoded.caller = "http", describe_caller(request)
    decoded.wants_provenance = decoded.wants_provenance or HEADER in request.headers
