"""The kernel distance between two sets of features. Dimensions: N rows, F features.

torchmetrics has it too, and to import that takes 6 s of processor time, a fifteenth of a demo's training.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_NUM_SUBSETS, _MOST_ROWS = 50, 500


def measure_kernel_distance(generated: np.ndarray, real: np.ndarray) -> float:
    """Squared maximum mean discrepancy under a cubic kernel of features [N, F], mean over random subsets.

    Source: Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401, eq. 3 and 4, unbiased.
    """
    first, second = torch.from_numpy(real), torch.from_numpy(generated)
    count = min(_MOST_ROWS, len(first), len(second))
    found = []
    for _ in range(_NUM_SUBSETS):
        x, y = (rows[torch.randperm(len(rows))[:count]] for rows in (first, second))
        found.append(_mean_of_pairs(x) + _mean_of_pairs(y) - 2 * _compare(x, y).mean())
    return float(torch.stack(found).mean())


def _mean_of_pairs(rows: Tensor) -> Tensor:
    """Mean of the kernel over all pairs of different rows."""
    kernel = _compare(rows, rows)
    return (kernel.sum() - kernel.trace()) / (len(rows) * (len(rows) - 1))


def _compare(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3
