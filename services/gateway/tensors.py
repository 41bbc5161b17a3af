"""Tensors and requests as the transport-free core sees them: names, shapes and raw OIP contents."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from model_store.parameters import ParameterValue
from model_store.tensors import DTYPES
from services.gateway.caller import NOBODY, Caller
from services.gateway.trace import Trace

_LENGTH = struct.Struct("<I")


@dataclass(slots=True)
class NamedTensor:
    """Raw contents as model_store/tensors.py encodes them."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes | memoryview


@dataclass(slots=True)
class InferRequest:
    """One caller's request. `deadline_s` is in time.monotonic()'s seconds (uvloop's own clock ticks in milliseconds).

    `version` is as the caller named it; `chosen` is the one whose manifest was needed already to read the contents.

    `packed` is the request as the caller serialized it, where it can go to a worker as it is. `protocol` is grpc,
    http, or self for the server's own; `caller` says who asks. `priority` is as Triton has it: 1 is the most urgent,
    0 the default. `any_variant` says that a faster variant may answer; see valve.py. Admission writes `promised_s`, how
    long it takes at most, where there is a queue; the batcher `queue_s` and `compute_s`, and into `trace`. It also
    writes into `worker`, where that is not None, the process that computed the answer, if that tells.
    """

    model: str
    version: str
    id: str
    inputs: list[NamedTensor]
    outputs: tuple[str, ...] = ()
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    deadline_s: float = math.inf
    priority: int = 0
    any_variant: bool = False
    chosen: str = ""
    packed: bytes | None = None
    protocol: str = ""
    wants_provenance: bool = False
    may_cache: bool = True
    caller: Caller = NOBODY
    promised_s: float = 0.0
    queue_s: float = 0.0
    compute_s: float = 0.0
    worker: int | None = None
    trace: Trace | None = None

    @property
    def wants_times(self) -> bool:
        """Whether the worker is to tell when it computed the answer, and which it is."""
        return self.worker is not None or (self.trace is not None and self.trace.is_sampled)


def name_requests(requests: Iterable[InferRequest]) -> dict[str, list[str]]:
    """Name requests as logs do that tell of several: by their ids, and the traces that they belong to."""
    asked = list(requests)
    traces = [request.trace.ids["trace_id"] for request in asked if request.trace is not None]
    return {"requests": [request.id for request in asked]} | ({"traces": traces} if traces else {})


@dataclass(slots=True)
class InferAnswer:
    model: str
    version: str
    id: str
    outputs: list[NamedTensor]
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    is_last: bool = True  # of the answers to one request


def count_elements(shape: Sequence[int]) -> int:
    return math.prod(shape)


def split_rows(tensor: NamedTensor, row_counts: Sequence[int]) -> list[NamedTensor]:
    """Cut a tensor into consecutive groups of rows, without copying numeric contents.

    Raises:
        ValueError: the contents do not hold that many rows.
    """
    if tensor.shape[0] != sum(row_counts):
        raise ValueError(f"{tensor.name} has {tensor.shape[0]} rows, expected {sum(row_counts)}")
    trailing = tensor.shape[1:]
    view = memoryview(tensor.data)
    ends = _find_row_ends(tensor, view, row_counts)
    parts, start = [], 0
    for num_rows, end in zip(row_counts, ends, strict=True):
        parts.append(NamedTensor(tensor.name, tensor.datatype, (num_rows, *trailing), view[start:end]))
        start = end
    return parts


def _find_row_ends(tensor: NamedTensor, view: memoryview, row_counts: Sequence[int]) -> list[int]:
    ends, end = [], 0
    if tensor.datatype != "BYTES":
        row_bytes = count_elements(tensor.shape[1:]) * DTYPES[tensor.datatype].itemsize
        for num_rows in row_counts:
            end += num_rows * row_bytes
            ends.append(end)
    else:
        elements_per_row = count_elements(tensor.shape[1:])
        for num_rows in row_counts:
            for _ in range(num_rows * elements_per_row):
                end += 4 + _LENGTH.unpack_from(view, end)[0]
            ends.append(end)
    if end != len(view):
        raise ValueError(f"{tensor.name} of shape {list(tensor.shape)} takes {end} bytes, got {len(view)}")
    return ends


def check_bytes_elements(data: bytes | memoryview, count: int) -> list[int]:
    """Return the sizes of `count` BYTES elements.

    Raises:
        ValueError: the contents are not `count` elements with their lengths; names the element.
    """
    sizes, offset, total = [], 0, len(data)
    for index in range(count):
        if offset + 4 > total:
            raise ValueError(f"the contents end in element {index} of {count}: its 4-byte length is missing")
        (size,) = _LENGTH.unpack_from(data, offset)
        offset += 4 + size
        if offset > total:
            raise ValueError(f"element {index} of {count} claims {size} bytes, {total - offset + size} are left")
        sizes.append(size)
    if offset != total:
        raise ValueError(f"{total - offset} bytes are left after the last of {count} elements")
    return sizes
