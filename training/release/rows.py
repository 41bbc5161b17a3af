"""Input rows for a program of somebody's own: from a file, or random ones."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model_store.tensors import DTYPES
from training.release.spec import TensorSpec

NUM_RANDOM_ROWS = 512
RANDOM_RANGE = "floats standard normal, uint8 0 to 255, other integers and booleans 0 or 1, or the input's range"


@dataclass(frozen=True)
class Rows:
    """Input rows by name: for the gate, and for quantization (none if they are random)."""

    held_out: dict[str, np.ndarray]
    calibration: dict[str, np.ndarray] | None
    origin: str


def read_rows(path: Path, inputs: Sequence[TensorSpec]) -> Rows:
    """Read rows from an .npz file, or an .npy file for a program of one input; every second row is for the gate.

    Raises:
        ValueError: it is neither, or its rows are none that a request could bring.
    """
    arrays = _read_arrays(path, [tensor.name for tensor in inputs])
    counts = {len(array) if array.ndim else 0 for array in arrays.values()}
    if len(counts) != 1 or counts.pop() < 4:
        raise ValueError(f"{path}: every array needs the same number of rows, 4 or more")
    sizes: dict[str, int] = {}
    for tensor in inputs:
        _check_rows(path, tensor, arrays[tensor.name], sizes)
    return Rows(
        held_out={name: array[1::2] for name, array in arrays.items()},
        calibration={name: array[::2] for name, array in arrays.items()},
        origin=f"every second row of {path.name}",
    )


def draw_rows(inputs: Sequence[TensorSpec], examples: Sequence[torch.Tensor] = ()) -> Rows:
    """Draw random rows; free sizes are those of the example inputs.

    Raises:
        ValueError: a size is free, and there is no example.
    """
    generator = np.random.default_rng(0)
    rows = {}
    for index, tensor in enumerate(inputs):
        sizes: list[Any] = list(tensor.shape[1:])
        if -1 in sizes:
            if index >= len(examples):
                raise ValueError(
                    f"input {tensor.name!r} has free dimensions {list(tensor.shape)}: give rows with --calibration"
                )
            sizes = list(examples[index].shape[1:])
        rows[tensor.name] = _draw_array(generator, tensor, (NUM_RANDOM_ROWS, *sizes))
    return Rows(held_out=rows, calibration=None, origin=f"{NUM_RANDOM_ROWS} random rows ({RANDOM_RANGE})")


def make_calibration(
    rows: Rows, inputs: Sequence[TensorSpec], max_rows: int
) -> Callable[[], Iterable[tuple[torch.Tensor, ...]]] | None:
    """Make what yields batches for quantization; None if there are no real rows."""
    if rows.calibration is None:
        return None
    arrays = [rows.calibration[tensor.name] for tensor in inputs]

    def calibrate() -> Iterable[tuple[torch.Tensor, ...]]:
        step = min(32, max_rows)
        for start in range(0, len(arrays[0]), step):
            yield tuple(torch.from_numpy(array[start : start + step].copy()) for array in arrays)

    return calibrate


def _read_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    try:
        content = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no .npz or .npy file of numbers: {error}") from error
    if isinstance(content, np.ndarray):
        if len(names) != 1:
            raise ValueError(
                f"{path} holds one array, the program's inputs are {names}; write an .npz file with "
                f"numpy.savez({path.with_suffix('.npz').name!r}, {', '.join(f'{name}=…' for name in names)})"
            )
        return {names[0]: content}
    with content as file:
        try:
            arrays = {name: file[name] for name in file.files}
        except (ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
    if sorted(arrays) != sorted(names):
        raise ValueError(f"{path} holds {sorted(arrays)}, the program's inputs are {names}")
    return arrays


def _check_rows(path: Path, tensor: TensorSpec, array: np.ndarray, sizes: dict[str, int]) -> None:
    fits = array.ndim == len(tensor.shape) and all(
        want in (-1, size) for want, size in zip(tensor.shape, array.shape, strict=True)
    )
    if not fits or array.dtype != DTYPES[tensor.datatype]:
        raise ValueError(
            f"{path}: {tensor.name} is {array.dtype} {list(array.shape)}, the program takes "
            f"{DTYPES[tensor.datatype]} {list(tensor.shape)}"
        )
    for free in tensor.size_ranges:
        size = array.shape[free.axis]
        too_large = free.maximum is not None and size > free.maximum
        if size < free.minimum or too_large or sizes.setdefault(free.name, size) != size:
            raise ValueError(
                f"{path}: {tensor.name} has shape {list(array.shape)}; its dimension {free.axis} may be "
                f"{free.minimum} to {'∞' if free.maximum is None else free.maximum}, and must be the same in every "
                "input that shares it"
            )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.count_nonzero(~np.isfinite(array))
        raise ValueError(
            f"{path}: {tensor.name} has {bad} of {array.size} values that are NaN or infinite; with them nothing can "
            "be measured, and no request may bring them: leave such rows out"
        )
    if tensor.minimum is not None and array.min() < tensor.minimum:
        raise ValueError(f"{path}: {tensor.name} has the value {array.min()}, its range begins at {tensor.minimum:g}")
    if tensor.maximum is not None and array.max() > tensor.maximum:
        raise ValueError(f"{path}: {tensor.name} has the value {array.max()}, its range ends at {tensor.maximum:g}")


def _draw_array(generator: np.random.Generator, tensor: TensorSpec, shape: tuple[int, ...]) -> np.ndarray:
    dtype = DTYPES[tensor.datatype]
    low, high = tensor.minimum, tensor.maximum
    if dtype.kind == "f":
        if low is not None and high is not None:
            return generator.uniform(low, high, shape).astype(dtype)
        return np.clip(generator.standard_normal(shape), low, high).astype(dtype)
    if dtype.kind == "b":
        return generator.integers(0, 2, shape).astype(dtype)
    least = 0 if low is None else int(np.ceil(low))
    most = max(least, 255 if dtype == np.uint8 else 1) if high is None else int(high)
    return generator.integers(min(least, most), most + 1, shape).astype(dtype)


def first_rows(arrays: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """`count` rows of each array, from the first one on; again from the first where there are fewer."""
    return {name: array[np.arange(count) % len(array)] for name, array in arrays.items()}
