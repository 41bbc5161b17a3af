"""Requests made of a release's signed examples: what warms workers up and proves that they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from model_store.examples import read_examples
from model_store.golden import GoldenAnswer, take_rows
from model_store.open_inference import messages
from model_store.tensors import datatype_of, encode_raw
from services.catalogue import ServedVariant


class GoldenRequest(NamedTuple):
    """A serialized ModelInferRequest and what its outputs must be; no outputs where nothing was recorded."""

    request: bytes
    answers: tuple[GoldenAnswer, ...]


def build_example_requests(variant: ServedVariant, *row_counts: int) -> list[bytes]:
    """Build serialized ModelInferRequests: one of each number of rows for each input set that the examples fill."""
    return [
        _build_request(variant, inputs, num_rows)
        for inputs in _filled_sets(variant)
        for num_rows in dict.fromkeys(row_counts)
    ]


def build_golden_requests(variant: ServedVariant) -> list[GoldenRequest]:
    """Build a request for each input set that the examples fill: its golden rows, or one row where it has none."""
    requests = []
    for inputs in _filled_sets(variant):
        answers = tuple(golden for golden in variant.golden if golden.inputs == tuple(inputs))
        num_rows = len(answers[0].expected) if answers else 1
        requests.append(GoldenRequest(_build_request(variant, inputs, num_rows), answers))
    return requests


def _filled_sets(variant: ServedVariant) -> Iterator[dict[str, np.ndarray]]:
    examples = read_examples(variant.examples)
    for names in variant.manifest.input_sets:
        if set(names) <= set(examples):
            yield {name: examples[name] for name in names}


def _build_request(variant: ServedVariant, inputs: Mapping[str, np.ndarray], num_rows: int) -> bytes:
    request = messages().ModelInferRequest(model_name=variant.model, model_version=variant.version)
    for name, array in inputs.items():
        rows = take_rows(array, num_rows)
        request.inputs.add(name=name, datatype=datatype_of(rows), shape=rows.shape)
        request.raw_input_contents.append(encode_raw(rows))
    data: bytes = request.SerializeToString()
    return data
