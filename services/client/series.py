"""Series of numbers as people have them, made rows of an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from services.client.inference import ModelMetadata

Series = Mapping[str, np.ndarray] | Sequence[np.ndarray] | np.ndarray


def stack_series(series: Series, described: ModelMetadata, name: str, kind: str) -> np.ndarray:
    """Rows float32 [N, L] of the input `name`: the last values of each series, as many as the model takes.

    Raises:
        ValueError: the model has no such input and so is none of the kind; a series is too short, or there is none.
    """
    length = next((tensor.shape[1] for tensor in described.inputs if tensor.name == name), None)
    if length is None:
        raise ValueError(f"{described.name} takes no {name}: it is no {kind}")
    named = series if isinstance(series, Mapping) else {f"series {row}": values for row, values in enumerate(series)}
    if not named:
        raise ValueError("there is no series: give one at least")
    return np.stack([_take_last(each, values, length) for each, values in named.items()])


def _take_last(name: str, values: np.ndarray, length: int) -> np.ndarray:
    array = np.asarray(values, np.float32)
    if array.ndim != 1 or len(array) < length:
        raise ValueError(f"{name} has shape {list(array.shape)}; the model takes the last {length} values of a series")
    return array[-length:]
