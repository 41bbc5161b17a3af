"""The operations that every model has: infer, metadata, wait_ready."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from model_store.open_inference import ROW_ERRORS, messages
from services.client.errors import DeadlineError, NotReadyError, ServerError, UnknownModelError
from services.client.steps import Call, Pause, Steps
from services.client.wire import Answer, decode_infer_response, encode_infer_request

POLL_INTERVAL_S = 0.2


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """An input or output of a model; -1 in the shape is a free dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a server says about a model."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    properties: Mapping[str, str]

    @property
    def kind(self) -> str:
        """What the model is, such as classifier; '' if the server does not say."""
        return self.properties.get("kind", "")


def make_infer_call(
    model: str,
    inputs: Mapping[str, Any],
    *,
    parameters: Mapping[str, Any] | None = None,
    version: str = "",
    outputs: Sequence[str] = (),
    timeout_s: float | None = None,
) -> Call:
    """Prepare one inference call."""
    request_id = uuid4().hex
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    body = encode_infer_request(
        model, arrays, version=version, parameters=parameters, outputs=outputs, request_id=request_id
    )
    return Call("ModelInfer", body, timeout_s, request_id)


def make_infer_calls(model: str, inputs: Mapping[str, np.ndarray], rows_per_call: int, **options: Any) -> list[Call]:
    """Prepare as many inference calls as rows take; `options` are those of `make_infer_call`, alike for all."""
    num_rows = max(len(array) for array in inputs.values())
    return [
        make_infer_call(
            model, {name: array[start : start + rows_per_call] for name, array in inputs.items()}, **options
        )
        for start in range(0, num_rows, rows_per_call)
    ]


def infer_answers(calls: Sequence[Call]) -> Steps[list[Answer]]:
    """Make inference calls together and decode their answers."""
    answers = yield calls
    return [_decode(answer, call) for answer, call in zip(answers, calls, strict=True)]


def read_row_errors(answer: Answer, num_rows: int) -> list[str]:
    """Why each row failed, '' for good ones."""
    errors = answer.arrays.get(ROW_ERRORS)
    return [""] * num_rows if errors is None else [error.decode() for error in errors]


def _decode(answer: bytes, call: Call) -> Answer:
    try:
        return decode_infer_response(answer)
    except ValueError as error:
        raise ServerError("INTERNAL", f"the server's answer cannot be read: {error}", call.request_id) from None


def infer(
    model: str,
    inputs: Mapping[str, Any],
    *,
    parameters: Mapping[str, Any] | None = None,
    version: str = "",
    outputs: Sequence[str] = (),
    timeout_s: float | None = None,
) -> Steps[dict[str, np.ndarray]]:
    """Run a model on named arrays, rows first; numeric answers are read-only views of the received bytes.

    `version` '' is the newest release's default, '3' release 3's default, '3-int8' exactly that. `outputs` () asks for
    the model's default outputs. A row that fails makes the whole call fail, unless `row_errors` is among the outputs:
    it says why for each row, '' for good ones, and failed rows are zeros in the other outputs.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: an array's dtype, or a parameter's type, has no place in the protocol.
    """
    call = make_infer_call(model, inputs, parameters=parameters, version=version, outputs=outputs, timeout_s=timeout_s)
    (answer,) = yield from infer_answers([call])
    return answer.arrays


def metadata(model: str, *, version: str = "", timeout_s: float | None = None) -> Steps[ModelMetadata]:
    """Ask for a model's inputs, outputs and versions.

    Raises:
        UnknownModelError: the server has no such model or version.
    """
    request = messages().ModelMetadataRequest(name=model, version=version)
    (data,) = yield [Call("ModelMetadata", request.SerializeToString(), timeout_s)]
    response = messages().ModelMetadataResponse.FromString(data)
    inputs, outputs = (
        tuple(TensorMetadata(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in tensors)
        for tensors in (response.inputs, response.outputs)
    )
    versions, properties = tuple(response.versions), dict(response.properties)
    return ModelMetadata(response.name, versions, response.platform, inputs, outputs, properties)


def is_ready(model: str = "", *, version: str = "", timeout_s: float | None = None) -> Steps[bool]:
    """Ask whether a model, or without a name the whole server, takes requests."""
    if model:
        request = messages().ModelReadyRequest(name=model, version=version)
        (data,) = yield [Call("ModelReady", request.SerializeToString(), timeout_s)]
        return bool(messages().ModelReadyResponse.FromString(data).ready)
    (data,) = yield [Call("ServerReady", b"", timeout_s)]
    return bool(messages().ServerReadyResponse.FromString(data).ready)


def wait_ready(model: str = "", *, version: str = "", timeout_s: float = 60) -> Steps[None]:
    """Wait until a model, or without a name the whole server, takes requests.

    Raises:
        DeadlineError: it did not within `timeout_s`; the message says what the last answer was.
    """
    end = time.monotonic() + timeout_s
    what = f"model {model} {version}".strip() if model else "the server"
    last = "it never answered"
    while (left_s := end - time.monotonic()) > 0:
        try:
            if (yield from is_ready(model, version=version, timeout_s=min(left_s, 2.0))):
                return
            last = "it answered: not ready"
        except (NotReadyError, DeadlineError, UnknownModelError) as error:
            last = error.message
        yield Pause(min(POLL_INTERVAL_S, max(end - time.monotonic(), 0)))
    raise DeadlineError("DEADLINE_EXCEEDED", f"{what} was not ready within {timeout_s:g} s: {last}")
