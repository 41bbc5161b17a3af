"""Whether a network's answers tell which rows it was trained on.

The attack guesses that rows of small loss were learned; its worth is the area under the curve of right guesses over
false ones, 0.5 where the losses tell nothing.
Sources: Yeom et al. 2018, Privacy Risk in Machine Learning, https://arxiv.org/abs/1709.01604 (the attack); DeLong et
al. 1988, Comparing the Areas under Two or More Correlated ROC Curves, Biometrics 44, 837 (the interval).
Dimensions: M members, N others, K labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F

_NORMAL_95 = 1.96


def measure_membership(
    member_logits: Tensor, member_labels: Tensor, other_logits: Tensor, other_labels: Tensor
) -> dict[str, Any]:
    """Attack rows that were trained on, logits float32 [M, K], and rows that were not, [N, K]; labels are int64."""
    members = F.cross_entropy(member_logits.double(), member_labels, reduction="none").numpy()
    others = F.cross_entropy(other_logits.double(), other_labels, reduction="none").numpy()
    area, interval = measure_area(-members, -others)
    return {"attack": "threshold on the loss", "auc": area, "auc_interval": interval, "n": len(members) + len(others)}


def measure_area(positive: np.ndarray, negative: np.ndarray) -> tuple[float, tuple[float, float]]:
    """How often a positive score [M] is above a negative one [N], ties by half, with its 95 % interval."""
    above = _share_below(negative, positive)
    below = 1 - _share_below(positive, negative)
    area = float(above.mean())
    deviation = float(np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)))
    return area, (max(0.0, area - _NORMAL_95 * deviation), min(1.0, area + _NORMAL_95 * deviation))


def _share_below(scores: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """For each bound, the share of the scores below it, those equal to it by half."""
    ordered = np.sort(scores)
    places = np.searchsorted(ordered, bounds, "left") + np.searchsorted(ordered, bounds, "right")
    shares: np.ndarray = places / (2 * len(ordered))
    return shares
