"""How far two answers to the same rows agree, where nobody knows the right one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from model_store.deviation import find_other_rows, is_numeric


def measure_closeness(array: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Per row, 1 for equal contents down to 0: the share of equal elements, for floats 1 − ‖y − r‖ / ‖r‖."""
    flat, wanted = array.reshape(len(array), -1), reference.reshape(len(reference), -1)
    if wanted.dtype.kind != "f":
        return np.asarray((flat == wanted).mean(1))
    flat, wanted = flat.astype(np.float64), wanted.astype(np.float64)
    error, size = np.linalg.norm(flat - wanted, axis=1), np.linalg.norm(wanted, axis=1)
    relative = np.divide(error, size, out=(error > 0).astype(np.float64), where=size > 0)
    return np.asarray(1 - np.clip(np.nan_to_num(relative, nan=1.0), 0, 1))


def are_probabilities(array: np.ndarray) -> bool:
    """Say whether each row has probabilities of classes: floats ≥ 0 that sum to 1."""
    return (
        array.dtype.kind == "f"
        and array.ndim == 2
        and array.shape[1] > 1
        and bool((array >= 0).all())
        and bool(np.allclose(array.sum(1), 1, atol=1e-3))
    )


def measure_change(answer: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> np.ndarray:
    """Per row, 0 for the same answer up to 1 for another one; both have the same outputs, `other` is compared with it.

    Words, labels and classes are the answer where there are any, their first where they are ranked: another one is 1,
    whatever the numbers beside them. Else another most probable class is 1, and other numbers change by 1 − closeness.
    """
    num_rows = len(next(iter(answer.values())))
    if any(other[name].shape != array.shape or other[name].dtype != array.dtype for name, array in answer.items()):
        return np.ones(num_rows)
    words = {name: array for name, array in answer.items() if not is_numeric(array)}
    if words:
        return np.max([find_other_rows(_first(other[name]), _first(array)) for name, array in words.items()], axis=0)
    return np.max([_change_of_numbers(array, other[name]) for name, array in answer.items()], axis=0)


def _first(array: np.ndarray) -> np.ndarray:
    """The best of ranked answers [N, K]."""
    return array[:, :1] if array.ndim == 2 else array


def _change_of_numbers(array: np.ndarray, other: np.ndarray) -> np.ndarray:
    if are_probabilities(array):
        return np.asarray((array.argmax(1) != other.argmax(1)).astype(np.float64))
    return 1 - measure_closeness(other.astype(np.float64), array.astype(np.float64))
