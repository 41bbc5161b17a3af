"""Tensors of the Open Inference Protocol as numpy arrays, and back.

Raw encoding: little-endian values in row-major order; BYTES elements each preceded by their length as 4 bytes.
Source: Open Inference Protocol, section "Tensor Data", and its binary tensor extension.
"""

from __future__ import annotations

import struct

import numpy as np

DTYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_LENGTH = struct.Struct("<I")


def datatype_of(array: np.ndarray) -> str:
    """Name the OIP datatype of an array; object and string arrays are BYTES.

    Raises:
        ValueError: the protocol has no datatype for this dtype.
    """
    if array.dtype.kind in "OSU":
        return "BYTES"
    try:
        return _NAMES[array.dtype]
    except KeyError:
        raise ValueError(
            f"no Open Inference datatype for numpy dtype {array.dtype}; use one of {list(DTYPES)}"
        ) from None


def encode_raw(array: np.ndarray) -> bytes:
    """Encode an array as raw OIP tensor contents; `str` elements as UTF-8."""
    if datatype_of(array) != "BYTES":
        return np.ascontiguousarray(array).tobytes()
    parts: list[bytes] = []
    for element in array.ravel():
        data = element.encode() if isinstance(element, str) else bytes(element)
        parts += (_LENGTH.pack(len(data)), data)
    return b"".join(parts)


def decode_raw(data: bytes | memoryview, datatype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Decode raw OIP tensor contents: numeric arrays are read-only views of `data`, BYTES an object array of bytes.

    Raises:
        ValueError: unknown datatype, or the size of the data does not fit datatype and shape.
    """
    if datatype not in DTYPES:
        raise ValueError(f"unknown datatype {datatype!r}; use one of {list(DTYPES)}")
    count = 1
    for size in shape:
        count *= size
    if datatype == "BYTES":
        return _decode_bytes_elements(memoryview(data), count).reshape(shape)
    dtype = DTYPES[datatype]
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"{datatype} of shape {list(shape)} takes {count * dtype.itemsize} bytes, got {len(data)}")
    return np.frombuffer(data, dtype).reshape(shape)


def _decode_bytes_elements(data: memoryview, count: int) -> np.ndarray:
    elements = np.empty(count, np.object_)
    offset = 0
    for index in range(count):
        if offset + 4 > len(data):
            raise ValueError(f"BYTES contents end in element {index} of {count}: its 4-byte length is missing")
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += 4
        if offset + length > len(data):
            raise ValueError(f"BYTES element {index} of {count} claims {length} bytes, {len(data) - offset} are left")
        elements[index] = bytes(data[offset : offset + length])
        offset += length
    if offset != len(data):
        raise ValueError(f"BYTES contents hold {len(data) - offset} bytes after the last of {count} elements")
    return elements
