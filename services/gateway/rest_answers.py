"""Answers to inferences as responses of HTTP: JSON, or JSON with binary data behind it."""

from __future__ import annotations

from fastapi.responses import Response

from services.gateway.provenance import make_headers
from services.gateway.rest_messages import HEADER_LENGTH, OutputEncoding, encode_answer_body
from services.gateway.tensors import InferAnswer


def make_answer_response(answer: InferAnswer, encoding: OutputEncoding) -> Response:
    """Make the response of an answer, with what it is from as headers.

    Raises:
        InvalidRequestError: BYTES that are no text were requested as JSON.
    """
    content, header_length = encode_answer_body(answer, encoding)
    headers = make_headers(answer.parameters)
    if header_length is None:
        return Response(content, headers=headers, media_type="application/json")
    headers[HEADER_LENGTH] = str(header_length)
    return Response(content, headers=headers, media_type="application/octet-stream")
