"""How much of the real images a generator covers, and how many of its images could be real.

Dimensions: N real rows, M generated rows, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """`precision`: share of generated rows inside the real manifold; `recall`: the reverse; `density`: how many real
    neighbourhoods hold a generated row, relative to their size (may exceed 1); `coverage`: share of real
    neighbourhoods that hold any.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def measure_coverage(real: Tensor, generated: Tensor, *, num_neighbours: int = 5) -> Coverage:
    """Compare features float32 [N, F] and [M, F]; a neighbourhood reaches to the k-th nearest row of its own set.

    Source: Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, eq. 1 and 2; Naeem et al. 2020,
    https://arxiv.org/abs/2002.09797, eq. 3 and 4.

    Raises:
        ValueError: a set has no more than `num_neighbours` rows.
    """
    if min(len(real), len(generated)) <= num_neighbours:
        raise ValueError(f"{num_neighbours} neighbours need more rows, got {len(real)} and {len(generated)}")
    real_radius = _radius(real, num_neighbours)
    generated_radius = _radius(generated, num_neighbours)
    distance_NM = torch.cdist(real, generated)
    inside_NM = distance_NM <= real_radius[:, None]
    return Coverage(
        precision=float(inside_NM.any(0).float().mean()),
        recall=float((distance_NM <= generated_radius).any(1).float().mean()),
        density=float(inside_NM.float().sum(0).mean() / num_neighbours),
        coverage=float(inside_NM.any(1).float().mean()),
    )


def _radius(features: Tensor, num_neighbours: int) -> Tensor:
    """Distance of each row to its k-th nearest other row, float32 [N]."""
    pieces = [torch.cdist(piece, features) for piece in features.split(1000)]
    return torch.cat([piece.kthvalue(num_neighbours + 1, dim=1).values for piece in pieces])
