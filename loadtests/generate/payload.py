"""Prepared requests: real rows from the store's examples, serialized once, so that sending them costs little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtests.generate.plan import Traffic
from model_store.examples import read_examples
from services.client.rest_wire import RestBody, encode_rest_request
from services.client.wire import encode_infer_request

_MOST_PAYLOADS = 64


@dataclass(frozen=True, slots=True)
class PackedBody:
    """A serialized ModelInferRequest, as a worker takes it through TorchServe."""

    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """What says of the body how it is to be read."""
        return {"Content-Type": "application/octet-stream"}


def read_rows(examples_path: Path, input_names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the example rows of some inputs.

    Raises:
        ValueError: the examples lack an input.
    """
    examples = read_examples(examples_path)
    missing = [name for name in input_names if name not in examples]
    if missing:
        raise ValueError(
            f"{examples_path} has no rows for {missing}, it has {sorted(examples)}; release the model again"
        )
    return {name: examples[name] for name in input_names}


def cut_batches(rows: Mapping[str, np.ndarray], rows_per_request: int) -> list[dict[str, np.ndarray]]:
    """Cut rows into requests of equal size, going round, so that requests differ where rows do."""
    num_rows = len(next(iter(rows.values())))
    count = min(num_rows, _MOST_PAYLOADS)
    starts = [index * rows_per_request for index in range(count)]
    picks = [np.arange(start, start + rows_per_request) % num_rows for start in starts]
    return [{name: array[pick] for name, array in rows.items()} for pick in picks]


def make_grpc_bodies(
    model: str, version: str, batches: Sequence[Mapping[str, np.ndarray]], outputs: Sequence[str] = ()
) -> list[bytes]:
    """Serialize one ModelInferRequest for each batch; without `outputs` it asks for the default ones."""
    return [encode_infer_request(model, batch, version=version, outputs=outputs) for batch in batches]


def make_bodies(traffic: Traffic) -> list[bytes]:
    """Serialize the gRPC requests of a plan's traffic.

    Raises:
        ValueError: the examples lack an input.
    """
    return make_grpc_bodies(traffic.model, traffic.version, _read_batches(traffic), traffic.outputs)


def make_bodies_of_rest(traffic: Traffic) -> list[RestBody]:
    """The same over REST."""
    return make_rest_bodies(_read_batches(traffic), traffic.outputs)


def make_bodies_of_torchserve(traffic: Traffic) -> list[PackedBody]:
    """The same for TorchServe itself."""
    return [PackedBody(body) for body in make_bodies(traffic)]


def _read_batches(traffic: Traffic) -> list[dict[str, np.ndarray]]:
    return cut_batches(read_rows(traffic.examples_path, traffic.input_names), traffic.rows_per_request)


def make_rest_bodies(batches: Sequence[Mapping[str, np.ndarray]], outputs: Sequence[str] = ()) -> list[RestBody]:
    """Serialize one REST request with binary inputs and outputs for each batch; without `outputs`, the default ones."""
    return [encode_rest_request(batch, outputs=outputs) for batch in batches]


def make_rest_path(model: str, version: str) -> str:
    """The path of a REST call; without a version the server chooses."""
    return f"/v2/models/{model}/versions/{version}/infer" if version else f"/v2/models/{model}/infer"
