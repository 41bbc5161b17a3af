"""What translations are worth: errors of each image.

Dimensions: N images, H height, W width, D channels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_LEVELS = 255
_ROUNDING_VARIANCE = 1 / 12  # of rounding to whole levels: less of an error says nothing


def absolute_errors(answers: Tensor, truth: Tensor) -> np.ndarray:
    """Mean absolute error of each image, float64 [N], as a share of the range, of uint8 [N, H, W, D]."""
    return ((answers.double() - truth.double()).abs().flatten(1).mean(1) / _LEVELS).numpy()


def signal_to_noise_db(answers: Tensor, truth: Tensor) -> np.ndarray:
    """Peak signal-to-noise ratio of each image in dB, float64 [N], of uint8 [N, H, W, D]."""
    squares = (answers.double() - truth.double()).square().flatten(1).mean(1)
    ratios: np.ndarray = (10 * torch.log10(_LEVELS**2 / squares.clamp_min(_ROUNDING_VARIANCE))).numpy()
    return ratios


def structural_similarities(answers: Tensor, truth: Tensor) -> np.ndarray:
    """Structural similarity of each image, at most 1, float64 [N], of uint8 [N, H, W, D].

    Source: Wang et al. 2004, Image quality assessment: from error visibility to structural similarity, eq. 13.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure  # slow to import

    first, second = (tensor.permute(0, 3, 1, 2).double() for tensor in (answers, truth))
    found = structural_similarity_index_measure(first, second, data_range=float(_LEVELS), reduction="none")
    assert isinstance(found, Tensor)
    return found.numpy().reshape(len(answers))
