"""Probabilities of labels as outputs: all of them, or the k most probable ones in falling order.

Dimensions: N rows, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rank_labels(
    probabilities: np.ndarray, labels: np.ndarray, top_k: int | None, requested: Sequence[str]
) -> dict[str, np.ndarray]:
    """The outputs `probabilities` float32 [N, K] and `label` BYTES [N], with `top_k` k both [N, k]."""
    if top_k is None:
        outputs = {"probabilities": probabilities, "label": labels[probabilities.argmax(1)]}
    else:
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
        outputs = {"probabilities": np.take_along_axis(probabilities, best, axis=1), "label": labels[best]}
    return {name: array for name, array in outputs.items() if name in requested}
