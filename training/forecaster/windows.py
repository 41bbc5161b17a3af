"""Windows of series: a history, and the future that a forecast is held against.

Dimensions: N windows, L steps of context, H steps of horizon, T steps of a series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Series:
    """One series: its name, float64 [T] without gaps, and its season in steps."""

    name: str
    values: np.ndarray
    period: int


@dataclass(frozen=True)
class Windows:
    """Windows float32: history [N, L], future [N, H]; the season int64 [N] and the name of each one's series.

    Windows of one `cluster`, int64 [N], share steps of their futures, so that they are resampled together.
    """

    history: Tensor
    future: Tensor
    period: Tensor
    names: tuple[str, ...]
    cluster: np.ndarray

    def __len__(self) -> int:
        return len(self.history)


def cut_windows(series: Sequence[Series], starts: Sequence[int], context: int, horizon: int, stride: int) -> Windows:
    """Cut a window every `stride` steps; futures lie in the part of each series that begins at its start."""
    pieces, periods, names, clusters = [], [], [], []
    for each, start in zip(series, starts, strict=True):
        for place, origin in enumerate(range(max(start, context), len(each.values) - horizon + 1, stride)):
            pieces.append(each.values[origin - context : origin + horizon])
            periods.append(each.period)
            names.append(each.name)
            clusters.append((each.name, place * stride // horizon))
    values = torch.from_numpy(np.stack(pieces).astype(np.float32)) if pieces else torch.empty(0, context + horizon)
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    return Windows(
        values[:, :context],
        values[:, context:],
        torch.tensor(periods, dtype=torch.int64),
        tuple(names),
        np.array([numbers[cluster] for cluster in clusters], np.int64),
    )
