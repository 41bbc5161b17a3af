"""What is watched of an input: a few numbers of each row, the same when a model is released and when it is served."""

from __future__ import annotations

import numpy as np

# A row of so many values is a record, each with a meaning of its own; a longer one (an image) is described as a whole.
MOST_COLUMNS = 8


def measure_features(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Measure features of N rows, each [N].

    Short numeric rows have their values, others mean and spread; BYTES have size and letters, the mean byte, which
    another alphabet or a picture in place of text changes.
    """
    if rows.dtype == np.object_:
        return _measure_bytes(rows.reshape(len(rows), -1))
    flat = rows.reshape(len(rows), -1)
    width = flat.shape[1]
    if width == 0:
        return {}
    if width <= MOST_COLUMNS:
        return {f"value {column}" if width > 1 else "value": flat[:, column] for column in range(width)}
    with np.errstate(all="ignore"):  # infinities, where an input may have them
        return {"mean": flat.mean(axis=1, dtype=np.float64), "spread": flat.std(axis=1, dtype=np.float64)}


def _measure_bytes(rows: np.ndarray) -> dict[str, np.ndarray]:
    joined = [b"".join(row) for row in rows.tolist()]
    letters = [float(np.frombuffer(data, np.uint8).mean()) if data else 0.0 for data in joined]
    return {"size": np.array([len(data) for data in joined]), "letters": np.array(letters)}
