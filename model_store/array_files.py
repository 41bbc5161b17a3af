"""Files of one array, as people bring them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_array(path: Path) -> np.ndarray:
    """Map the array of an .npy file into memory; nothing in it is run.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is none; the message says what to do.
    """
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except (EOFError, ValueError):  # numpy's own words advise to have the file's code run
        array = None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is no .npy file of one array of numbers; numpy.save writes one")
    return array
