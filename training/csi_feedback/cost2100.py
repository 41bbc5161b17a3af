"""The published channels of CsiNet, from COST 2100: MATLAB files of training, validation and test channels.

A file holds one array [N, 2·A·T], usually `HT`: real parts, then imaginary ones, each angle by angle with its taps, 0.5
standing for zero. Source: the simulation code published with Wen, Shih and Jin 2018, arXiv:1712.08919.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_store.matlab import read_arrays

PARTS = ("train", "val", "test")
ENVIRONMENTS = {"cost2100-indoor": "in", "cost2100-outdoor": "out"}
_ZERO = 0.5


def read_parts(folder: Path, environment: str, *, num_taps: int, num_antennas: int) -> dict[str, Tensor]:
    """Read `DATA_Htrainin.mat` and its like: by part, channels float32 [N, T, A, 2].

    Raises:
        FileNotFoundError: one of the three files is missing.
        ValueError: a file holds no array of that many values, or what is not finite.
    """
    suffix = ENVIRONMENTS[environment]
    paths = {part: folder / f"DATA_H{part}{suffix}.mat" for part in PARTS}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}: {environment} takes the files as published")
    return {part: read_channels(path, num_taps, num_antennas) for part, path in paths.items()}


def read_channels(path: Path, num_taps: int, num_antennas: int) -> Tensor:
    """Read one file: channels float32 [N, T, A, 2]; raises as `read_parts` does."""
    arrays = read_arrays(path)
    num_values = 2 * num_taps * num_antennas
    fitting = [value for value in arrays.values() if value.ndim == 2 and value.shape[1] == num_values]
    if len(fitting) != 1:
        found = ", ".join(f"{name} {list(value.shape)}" for name, value in arrays.items()) or "no numeric array"
        raise ValueError(f"{path} must hold one array [N, {num_values}], found {found}")
    values = fitting[0].astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{path} holds {int((~np.isfinite(values)).sum())} values that are NaN or infinite")
    channels = torch.from_numpy(values).reshape(-1, 2, num_antennas, num_taps).permute(0, 3, 2, 1) - _ZERO
    if not bool((channels != 0).flatten(1).any(1).all()):
        raise ValueError(f"{path} holds channels that are all zeros (0.5 in the file)")
    return channels.contiguous()
