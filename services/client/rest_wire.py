"""OIP inference requests and answers as REST has them: JSON, and tensors as binary data behind it.

Source: Open Inference Protocol, REST, and Triton's "Binary Tensor Data Extension".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.tensors import datatype_of, decode_raw, encode_raw
from services.client.wire import Answer

HEADER_SIZE = "Inference-Header-Content-Length"


@dataclass(frozen=True, slots=True)
class RestBody:
    """One OIP REST request with binary tensors; `json_size` goes into Inference-Header-Content-Length."""

    body: bytes
    json_size: int

    @property
    def headers(self) -> dict[str, str]:
        """What says of the body how it is to be read."""
        return {"Content-Type": "application/octet-stream", HEADER_SIZE: str(self.json_size)}


def encode_rest_request(
    inputs: Mapping[str, np.ndarray], *, parameters: Mapping[str, Any] | None = None, outputs: Sequence[str] = ()
) -> RestBody:
    """Serialize a request with binary inputs and outputs; without `outputs` it asks for the default ones.

    Raises:
        ValueError: an array's dtype has no place in the protocol.
    """
    raws = [encode_raw(array) for array in inputs.values()]
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": name,
                    "datatype": datatype_of(array),
                    "shape": list(array.shape),
                    "parameters": {"binary_data_size": len(raw)},
                }
                for (name, array), raw in zip(inputs.items(), raws, strict=True)
            ],
            "parameters": {**(parameters or {}), "binary_data_output": True},
        }
        | ({"outputs": [{"name": name} for name in outputs]} if outputs else {})
    ).encode()
    return RestBody(head + b"".join(raws), len(head))


def decode_rest_answer(body: bytes, json_size: int) -> Answer:
    """Decode an answer whose outputs are binary data behind `json_size` bytes of JSON.

    Raises:
        ValueError: the body is no such answer, or contents do not fit their tensors.
    """
    view = memoryview(body)
    try:
        described = json.loads(bytes(view[:json_size]))
        arrays, offset = {}, json_size
        for output in described["outputs"]:
            size = output["parameters"]["binary_data_size"]
            raw = view[offset : offset + size]
            arrays[output["name"]] = decode_raw(raw, output["datatype"], tuple(output["shape"]))
            offset += size
        return Answer(described["model_name"], described.get("model_version", ""), described.get("id", ""), arrays)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an answer with binary outputs: {error!r}") from None
