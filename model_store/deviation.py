"""How far an answer is from another one that should be the same. Rows are the first dimension."""

from __future__ import annotations

import numpy as np


def is_numeric(array: np.ndarray) -> bool:
    """Say whether a small difference is a small change: floats, and the levels of images."""
    return array.dtype.kind == "f" or (array.dtype == np.uint8 and array.ndim >= 3)


def measure_deviation(found: np.ndarray, wanted: np.ndarray, all_wanted: np.ndarray) -> float:
    """Largest ‖found − wanted‖ of a row, relative to its size or to that of usual rows, whichever is more."""
    if not found.size:
        return 0.0
    found, wanted = _flatten(found), _flatten(wanted)
    usual = np.median(np.linalg.norm(np.nan_to_num(_flatten(all_wanted), posinf=0, neginf=0), axis=1))
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.linalg.norm(np.where(same, 0, found - wanted), axis=1)
    size = np.maximum(np.linalg.norm(np.nan_to_num(wanted, posinf=0, neginf=0), axis=1), usual)
    relative = np.divide(error, size, out=np.where(error == 0, 0, np.inf), where=size > 0)
    return float(np.nan_to_num(relative, nan=np.inf).max())


def find_other_rows(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Say of each row whether it is another answer: classes, words, whatever is equal or not."""
    differs: np.ndarray = (found != wanted).reshape(len(wanted), -1).any(1)
    return differs


def _flatten(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1).astype(np.float64)
