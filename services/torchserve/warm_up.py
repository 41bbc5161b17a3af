"""Warm-up: the first inferences of a worker, so that no caller pays for them."""

from __future__ import annotations

import asyncio

import numpy as np

from model_store.open_inference import messages
from model_store.store import read_examples
from model_store.tensors import datatype_of, encode_raw
from services.catalogue import ServedVariant
from services.gateway.errors import MODEL_FAILED, InternalError
from services.torchserve.predictions import Predictions


async def warm_up(variant: ServedVariant, predictions: Predictions, num_workers: int) -> None:
    """Send example rows, one and then as many as a batch may hold, as many at once as there are workers.

    Raises:
        GatewayError: a call failed, or the handler reported that it broke; `cause` says how.
    """
    for request in warm_up_requests(variant):
        calls = (predictions.predict(variant.model, variant.version, request) for _ in range(num_workers))
        for answer in await asyncio.gather(*calls):
            response = messages().ModelInferResponse.FromString(answer)
            if "internal_error" in response.parameters:
                said = response.parameters["internal_error"].string_param
                raise InternalError(MODEL_FAILED, cause=f"{variant} broke in its warm-up:\n{said}")


def warm_up_requests(variant: ServedVariant) -> list[bytes]:
    """Build serialized requests of one row and of the most rows for each input set that the examples fill."""
    examples = read_examples(variant.examples)
    requests = []
    for names in variant.manifest.input_sets:
        if not set(names) <= set(examples):
            continue
        requests += [
            _build_request({name: _take_rows(examples[name], num_rows) for name in names})
            for num_rows in dict.fromkeys((1, variant.manifest.max_rows))
        ]
    return requests


def _take_rows(array: np.ndarray, num_rows: int) -> np.ndarray:
    return array[np.arange(num_rows) % len(array)]


def _build_request(inputs: dict[str, np.ndarray]) -> bytes:
    request = messages().ModelInferRequest()
    for name, array in inputs.items():
        request.inputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        request.raw_input_contents.append(encode_raw(array))
    data: bytes = request.SerializeToString()
    return data
