"""A model version's configuration in the shape of Triton's ModelConfig message, as far as it means something here.

Source: triton-inference-server/common, model_config.proto. Its shapes leave out the rows, its datatypes have names of
their own.
"""

from __future__ import annotations

from typing import Any

from model_store.interface import Tensor
from model_store.manifest import Manifest

PLATFORM = "pytorch_torchserve"
BACKEND = "torchserve"


def describe_config(manifest: Manifest, num_slots: int) -> dict[str, Any]:
    """Describe a model version: names, datatypes, shapes without rows, rows in a batch, workers."""
    is_cpu = manifest.target.device == "cpu"
    return {
        "name": manifest.model,
        "platform": PLATFORM,
        "backend": BACKEND,
        "max_batch_size": manifest.max_rows,
        "input": [_describe_input(tensor, is_optional=_is_optional(manifest, tensor)) for tensor in manifest.inputs],
        "output": [_describe_tensor(tensor) for tensor in manifest.outputs],
        "instance_group": [
            {"name": manifest.version, "kind": "KIND_CPU" if is_cpu else "KIND_GPU", "count": num_slots}
        ],
        "dynamic_batching": {},
        "parameters": {name: {"string_value": value} for name, value in manifest.properties.items()},
        "model_transaction_policy": {"decoupled": manifest.streams},
    }


def _is_optional(manifest: Manifest, tensor: Tensor) -> bool:
    """Say whether a request may come without an input: also where another set of inputs takes its place."""
    return tensor.optional or any(tensor.name not in names for names in manifest.input_sets)


def _describe_input(tensor: Tensor, is_optional: bool) -> dict[str, Any]:
    return _describe_tensor(tensor) | {"format": "FORMAT_NONE", "optional": is_optional}


def _describe_tensor(tensor: Tensor) -> dict[str, Any]:
    datatype = "STRING" if tensor.datatype == "BYTES" else tensor.datatype
    return {"name": tensor.name, "data_type": f"TYPE_{datatype}", "dims": list(tensor.shape[1:])}
