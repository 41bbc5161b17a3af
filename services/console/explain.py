"""The verb `explain`: where in an image, a signal or a text a model found what it answered."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import Response

from model_store.manifest import Manifest
from model_store.open_inference import ROW_ERRORS
from model_store.parameters import ParameterError, ParameterValue, check_parameter
from model_store.tensors import decode_raw
from services.console.releases import Shelf
from services.explaining import VARIANT, Explanations
from services.gateway.core import Gateway
from services.gateway.errors import InternalError, InvalidRequestError
from services.gateway.packing import pack_requests, unpack_answer
from services.gateway.rest_answers import make_answer_response
from services.gateway.rest_messages import HEADER_LENGTH, decode_body
from services.gateway.rest_refusals import recording_refusals
from services.gateway.tensors import InferAnswer, InferRequest, NamedTensor
from services.gateway.validation import Validator

logger = structlog.get_logger("explaining")

MAX_ROWS = 8
GRADIENTS, GRAD_CAM, ATTENTION, ABLATION = "integrated-gradients", "grad-cam", "attention", "ablation"
_RULES: Final[dict[str, dict[str, Any]]] = {
    "method": {
        "kind": "string",
        "meaning": "how; the first of the model's `explained_by` in `/api/models` if absent",
        "choices": (GRADIENTS, GRAD_CAM, ATTENTION, ABLATION),
    },
    "num_steps": {"kind": "int64", "meaning": "points between nothing and the input", "minimum": 8, "maximum": 256},
    "class": {"kind": "int64", "meaning": "what to explain; the most probable class if absent", "minimum": 0},
}
_DEFAULTS: Final[dict[str, ParameterValue]] = {"num_steps": 32}
_TEXT: Final = f"""Takes what `infer` takes, and the parameters
{", ".join(f"`{name}` ({rule['meaning']})" for name, rule in _RULES.items())}.

Of images, answers `image` as the model sees it and `attribution` FP32 [rows, height, width], positive where it speaks
for the class; of signals, `signal` FP32 [rows, samples] without gaps and their `attribution` FP32 [rows, samples]; of
texts, `pieces` BYTES [rows, pieces] and their `attribution` FP32 [rows, pieces]; with them `probabilities`, or of a
language model the `text` that is explained: `{ABLATION}` says how much likelier each word of the prompt made it.
Translators answer as `infer` does, with their `alignment`. By the release's variant {VARIANT}, whose gradients are
known; the first answer takes some seconds.
"""


def add_explain_routes(app: FastAPI, gateway: Gateway, shelf: Shelf, explanations: Explanations) -> None:
    @app.post("/v2/models/{model}/explain", summary="Explain an answer", description=_TEXT)
    @app.post("/v2/models/{model}/versions/{version}/explain", summary="Explain a version's answer", description=_TEXT)
    async def explain(request: Request, model: str, version: str = "") -> Response:
        body = await request.body()
        with recording_refusals(gateway, request, model, version):
            variant = gateway.find_variant(model, version)
            decoded, encoding = decode_body(body, request.headers.get(HEADER_LENGTH), model, version)
            request.state.id = decoded.id = decoded.id or request.state.id
            release = await asyncio.to_thread(shelf.find, model, variant.manifest.release)
            num_rows = _prepare(decoded, variant.manifest)
            try:
                answer = await explanations.explain(release, pack_requests([decoded]))
                (outputs,) = unpack_answer(answer, [num_rows])
            except InternalError as error:
                logger.error("an explanation failed", model=model, request=decoded.id, error=error.cause)
                raise
            _refuse_failed_rows(outputs)
        found = InferAnswer(model, f"{release.number}-{VARIANT}", decoded.id, outputs)
        return make_answer_response(found, encoding)


def _prepare(request: InferRequest, manifest: Manifest) -> int:
    """Check a request and complete its parameters; returns its number of rows.

    Raises:
        InvalidRequestError: it is none of the model's, or of a model that nothing explains in this way.
    """
    methods = list_methods(manifest)
    if not methods:
        raise InvalidRequestError(
            f"nothing explains {manifest.model}: "
            "it neither tells classes of images, signals or texts apart, nor writes texts"
        )
    given = {name: request.parameters.pop(name) for name in list(request.parameters)}
    for name, value in given.items():
        if name not in _RULES:
            raise InvalidRequestError(f"there is no parameter {name!r}; explain takes {', '.join(_RULES)}")
        try:
            check_parameter(value, {"name": name, **_RULES[name]})
        except ParameterError as error:
            raise InvalidRequestError(str(error)) from None
    method = given.setdefault("method", methods[0])
    if method not in methods:
        raise InvalidRequestError(f"{manifest.model} is not explained by {method}, but by {', '.join(methods)}")
    request.outputs = ()
    num_rows = Validator(manifest, MAX_ROWS).check(request)
    request.parameters = {**_DEFAULTS, **given}
    return num_rows


def list_methods(manifest: Manifest) -> tuple[str, ...]:
    """List what explains a model's answers, by what it takes and gives; nothing may."""
    inputs = {tensor.name for tensor in manifest.inputs}
    if any(tensor.name == "alignment" for tensor in manifest.outputs):
        return (ATTENTION,)
    if {"prompt", "continuation"} <= inputs:
        return (ABLATION,)
    if not any(tensor.datatype.startswith("FP") and len(tensor.shape) == 2 for tensor in manifest.outputs):
        return ()
    if any(tensor.datatype == "UINT8" and len(tensor.shape) == 4 for tensor in manifest.inputs):
        return (GRADIENTS, GRAD_CAM)
    classifies_signals = inputs == {"signal"} and any(tensor.name == "probabilities" for tensor in manifest.outputs)
    return (GRADIENTS,) if classifies_signals or inputs == {"text"} else ()


def _refuse_failed_rows(outputs: list[NamedTensor]) -> None:
    for tensor in outputs:
        if tensor.name == ROW_ERRORS:
            errors: Any = decode_raw(tensor.data, "BYTES", tensor.shape)
            raise InvalidRequestError("; ".join(error.decode() for error in errors if error))
