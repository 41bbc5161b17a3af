"""Triton's generate extension: flat JSON in, flat JSON out, whole or bit by bit as server-sent events.

curl localhost:8000/v2/models/seq2seq/generate_stream -d '{"text": "156 days ago", "beam_size": 1}'

Names that are no inputs are parameters, as are those under "parameters"; "outputs" may name the wanted outputs.
Source: triton-inference-server/server, docs/protocol/extension_generate.md.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from model_store.tensors import decode_raw
from services.catalogue import ServedVariant
from services.gateway.call_parameters import apply_call_parameters
from services.gateway.core import Gateway
from services.gateway.departure import answer_while_present
from services.gateway.errors import GatewayError, InvalidRequestError
from services.gateway.openapi import EVENTS, GENERATE_BODY, GENERATE_EXAMPLE
from services.gateway.plain_requests import decode_rows, read_names
from services.gateway.rest_calls import note_caller, route
from services.gateway.rest_messages import decode_json
from services.gateway.rest_refusals import recording_refusals
from services.gateway.tensors import InferAnswer, InferRequest, NamedTensor


def add_generate_routes(app: FastAPI, gateway: Gateway) -> None:
    """Add `generate` and `generate_stream` for each model."""
    content = {"application/json": {"schema": GENERATE_BODY, "example": GENERATE_EXAMPLE}}
    body = {"requestBody": {"required": True, "content": content}}

    async def read(request: Request, model: str, version: str) -> InferRequest:
        content = await request.body()
        with recording_refusals(gateway, request, model, version):
            variant, caller = route(gateway, request, model, version)
            decoded = _decode_generate(variant, version, content)
        request.state.id = decoded.id = decoded.id or request.state.id
        note_caller(decoded, request, caller)
        return decoded

    @app.post("/v2/models/{model}/generate", summary="Flat JSON in, one answer out", openapi_extra=body)
    @app.post("/v2/models/{model}/versions/{version}/generate", summary="The same with a version", openapi_extra=body)
    async def generate(request: Request, model: str, version: str = "") -> Response:
        decoded = await read(request, model, version)
        return JSONResponse(_describe(await answer_while_present(request, gateway.infer(decoded))))

    @app.post(
        "/v2/models/{model}/generate_stream",
        summary="An answer bit by bit, as events",
        openapi_extra=body,
        responses=EVENTS,
    )
    @app.post(
        "/v2/models/{model}/versions/{version}/generate_stream",
        summary="The same with a version",
        openapi_extra=body,
        responses=EVENTS,
    )
    async def generate_stream(request: Request, model: str, version: str = "") -> Response:
        answers = gateway.stream(await read(request, model, version))
        # What is refused at once is refused by its status: the first answer comes before the response begins.
        first = await answer_while_present(request, anext(answers))
        return StreamingResponse(
            _write_events(first, answers), media_type="text/event-stream", headers={"cache-control": "no-cache"}
        )


async def _write_events(first: InferAnswer, answers: AsyncGenerator[InferAnswer]) -> AsyncIterator[bytes]:
    async with aclosing(answers):
        yield _event(_describe(first))
        try:
            async for answer in answers:
                yield _event(_describe(answer))
        except GatewayError as error:
            yield _event({"error": str(error)})


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def _decode_generate(variant: ServedVariant, version: str, content: bytes) -> InferRequest:
    manifest = variant.manifest
    message = decode_json(content)
    if not isinstance(message, dict):
        names = ", ".join(f'"{tensor.name}": …' for tensor in manifest.inputs)
        raise InvalidRequestError(f"the body must be a JSON object with the model's inputs: {{{names}}}")
    parameters, identity = message.pop("parameters", {}), message.pop("id", "")
    if not isinstance(parameters, dict):
        raise InvalidRequestError("parameters must be a JSON object of names and values")
    outputs = read_names(message.pop("outputs", []))
    request = InferRequest(variant.model, version, str(identity), [], outputs, chosen=variant.version)
    for name, value in message.items():
        if manifest.input(name) is not None:
            request.inputs.append(decode_rows(manifest, name, value))
        else:
            parameters[name] = value
    request.parameters = parameters
    apply_call_parameters(request)
    return request


def _describe(answer: InferAnswer) -> dict[str, Any]:
    described: dict[str, Any] = {"model_name": answer.model, "model_version": answer.version, "id": answer.id}
    return described | {tensor.name: _values_of(tensor) for tensor in answer.outputs}


def _values_of(tensor: NamedTensor) -> Any:
    """A tensor as Triton shows it here: a single value by itself, several as one list."""
    values = decode_raw(tensor.data, tensor.datatype, tensor.shape).reshape(-1).tolist()
    if tensor.datatype == "BYTES":
        values = [value.decode(errors="replace") for value in values]
    return values[0] if len(values) == 1 else values
