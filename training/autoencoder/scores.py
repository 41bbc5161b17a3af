"""What reconstructions are worth, image by image, and by how few values codes are carried.

Dimensions: N images, Z values of a code, H height, W width, C channels.
"""

from __future__ import annotations

import math

import numpy as np


def score_images(found: np.ndarray, truth: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Mean squared distances float64 [N, 2] in squares of grey levels: of `found` from `truth`, of `mean` from it.

    `found` and `truth` uint8 [N, H, W, C], `mean` that of the training images [H, W, C].
    """
    wanted = truth.astype(np.float32)
    return np.stack(
        [np.square(each - wanted).mean((1, 2, 3), dtype=np.float64) for each in (found.astype(np.float32), mean)], 1
    )


def explained_share(scores: np.ndarray) -> float:
    """Share of the images' squared distance from the mean image that is gone, of scores [N, 2]: 1 is perfect."""
    error, whole = scores.sum(0)
    return float(1 - error / whole)


def root_mean_square(scores: np.ndarray) -> float:
    """What a pixel is off by, in grey levels, of scores [N, 2]."""
    return float(np.sqrt(scores[:, 0].mean()))


def measure_sparsity(codes: np.ndarray) -> float:
    """How few values carry the codes [N, Z] on average: 0 if all are as large, 1 if one alone is not 0.

    A code of nothing but zeros counts as 0.
    Source: Hoyer 2004, https://www.jmlr.org/papers/v5/hoyer04a.html, section 3.1.
    """
    root = math.sqrt(codes.shape[1])
    absolute, square = np.abs(codes).sum(1, dtype=np.float64), np.square(codes).sum(1, dtype=np.float64) ** 0.5
    ratio = np.divide(absolute, square, out=np.full(len(codes), root), where=square > 0)
    return float(((root - ratio) / (root - 1)).mean())
