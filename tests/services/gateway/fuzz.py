"""Mutations of valid Open Inference Protocol requests, the same for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.open_inference import messages
from model_store.tensors import DTYPES, encode_raw

_NAMES = ("x", "text", "weight", "y", "label", "row_errors", "", "\0", "x" * 300, "é", "nothing")
_NUMBERS = (0, 1, -1, 2, 3, 4, 5, 1000, 2**31 - 1, 2**31, 2**62, 2**63 - 1, -(2**63))
_DATATYPES = (*DTYPES, "", "BF16", "fp32", "STRING")
_ODD_JSON: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**70, -(2**70), 1e308, float("inf"), float("nan")),
    *("", "x", "\ud800", "\0", "é" * 500, "1", [], {}, [[]], [None], [[], [1]], ["a", 1], {"": {}}, [[[[[[1]]]]]]),
)
_HEADER_LENGTHS = ("0", "1", "10", "99999999", "-1", "", "1e3", "²", "0x10", " 5", "9" * 400)


@dataclass(frozen=True)
class RestMessage:
    """A body, and the header that says how much of it is JSON."""

    body: bytes
    header_length: str | None = None


def make_grpc_seeds(rng: random.Random) -> list[bytes]:
    """Valid requests of several shapes: raw and typed contents, numbers and texts, parameters and outputs."""
    return [build(rng).SerializeToString() for build in (_raw, _typed, _texts, _with_parameters) for _ in range(4)]


def mutate_grpc(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Change a valid message in its fields, in its bytes, or in both."""
    data = rng.choice(seeds)
    if rng.random() < 0.6:
        message = messages().ModelInferRequest.FromString(data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            rng.choice(_FIELD_CHANGES)(rng, message)
        data = message.SerializeToString()
    if rng.random() < 0.5:
        data = _mutate_bytes(rng, data, seeds)
    return data


def make_rest_seeds(rng: random.Random) -> list[RestMessage]:
    """Valid bodies: JSON alone, and JSON followed by binary tensors."""
    seeds = []
    for _ in range(8):
        num_rows = rng.randint(1, 4)
        rows = [[rng.uniform(-9, 9), rng.uniform(-9, 9)] for _ in range(num_rows)]
        tensor: dict[str, Any] = {"name": "x", "datatype": "FP32", "shape": [num_rows, 2]}
        texts = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["abc"]}
        outputs = [{"name": "y", "parameters": {"binary_data": rng.random() < 0.5}}]
        seeds.append(_rest({"inputs": [tensor | {"data": rows}], "parameters": {"gain": 2.0, "top_k": 1}, "id": "a"}))
        seeds.append(_rest({"inputs": [texts], "outputs": [{"name": "label"}]}))
        contents = np.array(rows, np.float32).tobytes()
        binary = tensor | {"parameters": {"binary_data_size": len(contents)}}
        seeds.append(_rest({"inputs": [binary], "outputs": outputs}, contents))
    return seeds


def mutate_rest(rng: random.Random, seeds: Sequence[RestMessage]) -> RestMessage:
    """Change a valid body in its JSON tree, its bytes, or the length of its JSON part."""
    seed = rng.choice(seeds)
    length = len(seed.body) if seed.header_length is None else int(seed.header_length)
    head, binary = seed.body[:length], seed.body[length:]
    if rng.random() < 0.7:
        tree = json.loads(head)
        for _ in range(rng.choice((1, 1, 2, 3))):
            tree = _mutate_tree(rng, tree)
        head = json.dumps(tree).encode()
    if rng.random() < 0.3:
        head = _mutate_bytes(rng, head, [other.body for other in seeds])
    if binary and rng.random() < 0.5:
        binary = _mutate_bytes(rng, binary, [binary])
    header_length = None if seed.header_length is None else str(len(head))
    if rng.random() < 0.1:
        header_length = rng.choice((None, *_HEADER_LENGTHS))
    return RestMessage(head + binary, header_length)


def _rest(tree: Any, binary: bytes = b"") -> RestMessage:
    head = json.dumps(tree).encode()
    return RestMessage(head + binary, str(len(head)) if binary else None)


def _raw(rng: random.Random) -> Any:
    num_rows = rng.randint(1, 9)
    request = messages().ModelInferRequest(model_name="double", id="a")
    request.inputs.add(name="x", datatype="FP32", shape=[num_rows, 2])
    request.raw_input_contents.append(np.full((num_rows, 2), rng.uniform(-9, 9), np.float32).tobytes())
    if rng.random() < 0.5:
        request.inputs.add(name="weight", datatype="FP32", shape=[num_rows])
        request.raw_input_contents.append(np.ones(num_rows, np.float32).tobytes())
    return request


def _typed(rng: random.Random) -> Any:
    request = messages().ModelInferRequest(model_name="double", model_version="3")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([1, rng.uniform(-9, 9)])
    return request


def _texts(rng: random.Random) -> Any:
    texts = np.array([b"a" * rng.randint(0, 8) for _ in range(rng.randint(1, 4))], np.object_)
    request = messages().ModelInferRequest(model_name="double")
    request.inputs.add(name="text", datatype="BYTES", shape=texts.shape)
    request.raw_input_contents.append(encode_raw(texts))
    request.outputs.add(name="label")
    return request


def _with_parameters(rng: random.Random) -> Any:
    request = _raw(rng)
    request.parameters["top_k"].int64_param = rng.randint(1, 5)
    request.parameters["mode"].string_param = "fast"
    request.parameters["timeout"].int64_param = 10**9
    request.outputs.add(name="y")
    return request


def _change_tensor(rng: random.Random, request: Any) -> None:
    if not request.inputs:
        return
    tensor = rng.choice(request.inputs)
    kind = rng.randrange(6)
    if kind == 0:
        tensor.name = rng.choice(_NAMES)
    elif kind == 1:
        tensor.datatype = rng.choice(_DATATYPES)
    elif kind == 2:
        tensor.shape[:] = [rng.choice(_NUMBERS) for _ in range(rng.randrange(5))]
    elif kind == 3:
        tensor.parameters[rng.choice(_NAMES)].int64_param = rng.choice(_NUMBERS)
    elif kind == 4:
        field = rng.choice([field for field in tensor.contents.DESCRIPTOR.fields if field.name != "bytes_contents"])
        value = rng.choice((0, 1)) if "int64" not in field.name else rng.choice((0, 1, 2**40))
        getattr(tensor.contents, field.name).extend([value] * rng.randrange(40))
    else:
        tensor.contents.bytes_contents.extend([rng.randbytes(rng.randrange(12)) for _ in range(rng.randrange(5))])


def _change_contents(rng: random.Random, request: Any) -> None:
    contents = request.raw_input_contents
    if not contents or rng.random() < 0.2:
        contents.append(rng.randbytes(rng.randrange(64)))
    elif rng.random() < 0.5:
        contents[rng.randrange(len(contents))] = rng.randbytes(rng.randrange(80))
    else:
        place = rng.randrange(len(contents))
        contents[place] = _mutate_bytes(rng, contents[place], [contents[place]])


def _change_lists(rng: random.Random, request: Any) -> None:
    name = rng.choice(("inputs", "outputs", "raw_input_contents"))
    values = getattr(request, name)
    if not values:
        request.outputs.add(name=rng.choice(_NAMES))
    elif rng.random() < 0.5:
        del values[rng.randrange(len(values))]
    else:
        values.extend([values[rng.randrange(len(values))]] * rng.choice((1, 1, 50)))


def _change_names(rng: random.Random, request: Any) -> None:
    field = rng.choice(("model_name", "model_version", "id"))
    setattr(request, field, rng.choice((*_NAMES, "double", "3", "3-eager")))


def _change_parameters(rng: random.Random, request: Any) -> None:
    name = rng.choice(
        (*_NAMES, "top_k", "gain", "mode", "flip", "timeout", "priority", "worker_times", "internal_error")
    )
    parameter = request.parameters[name]
    kind = rng.randrange(6)
    if kind == 0:
        parameter.bool_param = True
    elif kind == 1:
        parameter.int64_param = rng.choice(_NUMBERS)
    elif kind == 2:
        parameter.string_param = rng.choice(_NAMES)
    elif kind == 3:
        parameter.double_param = rng.choice((0.0, -1.0, 1e308, float("nan"), float("inf")))
    elif kind == 4:
        parameter.uint64_param = 2**64 - 1


_FIELD_CHANGES: tuple[Callable[[random.Random, Any], None], ...] = (
    _change_tensor,
    _change_contents,
    _change_lists,
    _change_names,
    _change_parameters,
)


def _mutate_bytes(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place = rng.randrange(len(changed) + 1)
        kind = rng.randrange(6)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << rng.randrange(8)
        elif kind == 1 and changed:
            changed[place % len(changed)] = rng.choice((0, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del changed[place : place + rng.randrange(1, 20)]
        elif kind == 3:
            changed[place:place] = rng.randbytes(rng.randrange(1, 20))
        elif kind == 4:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            changed[place:place] = other[start : start + rng.randrange(1, 60)]
        else:
            del changed[place:]
    return bytes(changed)


def _mutate_tree(rng: random.Random, tree: Any) -> Any:
    """Change one place of a JSON tree, at any depth."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.15:
        return deepcopy(rng.choice(_ODD_JSON))
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key: Any = rng.choice(keys)
    kind = rng.randrange(8)
    if kind == 0:
        del tree[key]
    elif kind == 1 and isinstance(tree, list):
        tree.extend(deepcopy([tree[key]] * rng.choice((1, 1, 40))))
    elif kind == 1:
        tree[rng.choice((*_NAMES, "data", "shape", "parameters", "outputs", "priority"))] = deepcopy(
            rng.choice(_ODD_JSON)
        )
    elif kind == 2:
        tree[key] = deepcopy(rng.choice(_ODD_JSON))
    else:
        tree[key] = _mutate_tree(rng, tree[key])
    return tree
