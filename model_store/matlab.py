"""Arrays from MATLAB files, v5 and v7.3: training and clients read the same ones."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all numeric arrays of a .mat file by name, axes as MATLAB shows them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no MATLAB file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give a .mat file or a folder of them")
    with path.open("rb") as file:
        head = file.read(128)
    is_hdf5 = head[:4] == b"\x89HDF" or head.startswith(b"MATLAB 7.3")
    return _read_hdf5(path) if is_hdf5 else _read_classic(path)


def _read_classic(path: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except (ValueError, NotImplementedError, TypeError, OSError) as error:
        raise ValueError(f"{path} is no readable MATLAB file: {error}") from error
    return {
        name: value
        for name, value in content.items()
        if not name.startswith("__") and isinstance(value, np.ndarray) and value.dtype.kind in "fciu"
    }


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """Read a v7.3 file: HDF5, axes reversed, complex numbers as records of real and imag."""
    import h5py

    arrays: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            for name, item in file.items():
                if not isinstance(item, h5py.Dataset):
                    continue
                value = item[()]
                if value.dtype.names == ("real", "imag"):
                    value = value["real"] + 1j * value["imag"]
                if value.dtype.kind in "fciu":
                    arrays[name] = value.T
    except OSError as error:
        raise ValueError(f"{path} is no readable MATLAB 7.3 file: {error}") from error
    return arrays


def order_axes(value: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray | None:
    """Order the axes of one array of these sizes, or of N in any order of axes, as [N, *shape]; None if none fits."""
    if value.ndim == 3:
        value = value[None]
    if value.ndim != 4:
        return None
    for order in permutations(range(4)):
        if tuple(value.shape[axis] for axis in order[1:]) == shape:
            return value.transpose(order)
    return None
