"""Requests that differ from an earlier one in their tensor's contents only: most that a caller sends.

They are known by their length and by all of their bytes before the contents, so that protobuf need not read them again,
and the contents, which may be megabytes, are not copied out of the message.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from model_store.open_inference import messages
from model_store.protobuf import encode_varint
from services.gateway.packing import RAW_INPUT_TAG
from services.gateway.tensors import InferRequest, NamedTensor

_MOST_KNOWN = 1024
_LONGEST_HEAD = 512


class _Head(NamedTuple):
    data: bytes
    model: str
    version: str
    outputs: tuple[str, ...]
    name: str
    datatype: str
    shape: tuple[int, ...]


class KnownHeads:
    """The newest head of each length of a message."""

    def __init__(self) -> None:
        self._heads: dict[int, _Head] = {}

    def read(self, data: bytes) -> InferRequest | None:
        """Read a serialized request, if its head is known."""
        head = self._heads.get(len(data))
        if head is None or not data.startswith(head.data):
            return None
        contents = memoryview(data)[len(head.data) :]
        tensor = NamedTensor(head.name, head.datatype, head.shape, contents)
        return InferRequest(head.model, head.version, "", [tensor], head.outputs, packed=data)

    def learn(self, data: bytes, request: InferRequest) -> None:
        """Remember the head of a request of one numeric tensor that may travel as it is, if its contents come last."""
        if request.packed is None or request.id or len(request.inputs) != 1:
            return
        (tensor,) = request.inputs
        field = RAW_INPUT_TAG + encode_varint(len(tensor.data))
        size = len(data) - len(tensor.data)
        if tensor.datatype == "BYTES" or size > _LONGEST_HEAD or not data.startswith(field, size - len(field)):
            return
        # The same bytes may stand inside another field: all before them must be a message without contents.
        try:
            before: Any = messages().ModelInferRequest.FromString(data[: size - len(field)])
        except DecodeError:
            return
        if before.raw_input_contents:
            return
        if len(self._heads) >= _MOST_KNOWN:
            self._heads.clear()
        self._heads[len(data)] = _Head(
            data[:size],
            request.model,
            request.version,
            request.outputs,
            tensor.name,
            tensor.datatype,
            tensor.shape,
        )
