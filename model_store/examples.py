"""A release's examples: a few real input rows, as a file of arrays that nothing need be unpickled from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_examples(path: Path, examples: Mapping[str, np.ndarray]) -> None:
    """Write input rows as .npz; BYTES elements are kept as one byte array with offsets, so that no pickle is needed."""
    arrays: dict[str, np.ndarray] = {}
    for name, array in examples.items():
        if array.dtype.kind not in "OSU":
            arrays[name] = array
            continue
        elements = [element.encode() if isinstance(element, str) else bytes(element) for element in array.ravel()]
        arrays[f"{name}/bytes"] = np.frombuffer(b"".join(elements), np.uint8)
        arrays[f"{name}/ends"] = np.cumsum([len(element) for element in elements], dtype=np.int64)
        arrays[f"{name}/shape"] = np.array(array.shape, np.int64)
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_examples(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_examples` wrote."""
    examples: dict[str, np.ndarray] = {}
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            name, _, part = key.partition("/")
            if not part:
                examples[name] = file[key]
            elif part == "ends":
                data, ends = file[f"{name}/bytes"].tobytes(), file[key]
                array = np.empty(len(ends), np.object_)
                for index, end in enumerate(ends):
                    array[index] = data[ends[index - 1] if index else 0 : end]
                examples[name] = array.reshape(file[f"{name}/shape"])
    return examples
