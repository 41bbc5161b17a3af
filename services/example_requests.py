"""Requests made of a release's signed examples: what warms workers up and proves that they answer."""

from __future__ import annotations

import numpy as np

from model_store.open_inference import messages
from model_store.store import read_examples
from model_store.tensors import datatype_of, encode_raw
from services.catalogue import ServedVariant


def build_example_requests(variant: ServedVariant, *row_counts: int) -> list[bytes]:
    """Build serialized ModelInferRequests: one of each number of rows for each input set that the examples fill."""
    examples = read_examples(variant.examples)
    return [
        _build_request(variant, {name: _take_rows(examples[name], num_rows) for name in names})
        for names in variant.manifest.input_sets
        if set(names) <= set(examples)
        for num_rows in dict.fromkeys(row_counts)
    ]


def _take_rows(array: np.ndarray, num_rows: int) -> np.ndarray:
    return array[np.arange(num_rows) % len(array)]


def _build_request(variant: ServedVariant, inputs: dict[str, np.ndarray]) -> bytes:
    request = messages().ModelInferRequest(model_name=variant.model, model_version=variant.version)
    for name, array in inputs.items():
        request.inputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        request.raw_input_contents.append(encode_raw(array))
    data: bytes = request.SerializeToString()
    return data
