"""The multilinear Wiener filter, unrolled: each side of either array gets a filter for what the others let through.

A tap is a tensor of the four array sides A, B (receive) and X, Y (transmit), white noise of variance 1 in each entry.
With the other three filters applied, an eigenvalue w of a side's Gram matrix would be `level` for noise alone; the
filter gives it the gain w² / (w² + (c·level)²) with learned c. That gain needs one matrix inverse and no
eigendecomposition.
Dimension letters: M taps, R = A·B receive cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.beamformer.beamspace import apply_last, apply_receive, columns_last, gram_last, pairs_first, swap_sides
from training.beamformer.paired import energy, gram_rows, multiply


@dataclass(frozen=True)
class SideFilters:
    """The filters of the four sides, [M, 2, side, side]; `rows`/`columns` of the transmit array are X and Y."""

    receive_rows: Tensor
    receive_columns: Tensor
    transmit_rows: Tensor
    transmit_columns: Tensor

    def pass_fraction(self) -> Tensor:
        """Fraction of white noise energy that all four let through: [M]."""
        fractions = [energy(side) / side.shape[-1] for side in vars(self).values()]
        return fractions[0] * fractions[1] * fractions[2] * fractions[3]


class MultilinearWiener(nn.Module):
    """Filter taps in `num_sweeps` sweeps over the sides; a learned c per sweep and side that varies with CSI SNR."""

    def __init__(self, receive_shape: tuple[int, int], num_sweeps: int = 2) -> None:
        super().__init__()
        self.receive_shape = receive_shape
        self.log_threshold = nn.Parameter(torch.full((num_sweeps, 4), math.log(2.0)))
        self.log_threshold_per_10_db = nn.Parameter(torch.zeros(num_sweeps, 4))

    def forward(
        self, taps: Tensor, csi_snr_db: Tensor, filters: SideFilters | None = None
    ) -> tuple[Tensor, SideFilters]:
        """Filter [M, 2, R, X, Y] of unit noise variance, going on from `filters`; csi_snr_db is [M]."""
        factors = self.log_threshold + self.log_threshold_per_10_db * (csi_snr_db / 10)[:, None, None]
        by_rows = swap_sides(columns_last(taps))
        for thresholds in factors.exp().unbind(1):
            filtered, filters = self._sweep(taps, by_rows, filters, thresholds)
        assert filters is not None
        return apply_receive(filtered, _kronecker(filters.receive_rows, filters.receive_columns)), filters

    def _sweep(
        self, taps: Tensor, by_rows: Tensor, previous: SideFilters | None, thresholds: Tensor
    ) -> tuple[Tensor, SideFilters]:
        """Renew all four filters; also return the taps with the transmit filters applied."""
        if previous is None:
            received = by_rows
            rows_gram = gram_last(by_rows)
            level: Tensor | float = float(taps.shape[2])
            rows_level: Tensor | float = level * taps.shape[4]
        else:
            receive = _kronecker(previous.receive_rows, previous.receive_columns)
            received_by_columns = columns_last(apply_receive(taps, receive))
            received = swap_sides(received_by_columns)
            rows_gram = gram_last(swap_sides(apply_last(received_by_columns, previous.transmit_columns)))
            level = energy(previous.receive_rows) * energy(previous.receive_columns)
            rows_level = level * energy(previous.transmit_columns)
        rows = shrink(rows_gram, thresholds[:, 0] * rows_level)
        by_columns = swap_sides(apply_last(by_rows, rows))
        received_by_columns = by_columns if previous is None else swap_sides(apply_last(received, rows))
        columns = shrink(gram_last(received_by_columns), thresholds[:, 1] * level * energy(rows))
        transmitted = pairs_first(apply_last(by_columns, columns))
        receive_rows, receive_columns = self._filter_receive(
            gram_rows(transmitted.flatten(3)), energy(rows) * energy(columns), previous, thresholds[:, 2:]
        )
        return transmitted, SideFilters(receive_rows, receive_columns, rows, columns)

    def _filter_receive(
        self, gram: Tensor, level: Tensor, previous: SideFilters | None, thresholds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Renew the receive filters from the Gram matrix [M, 2, R, R], whose partial traces are the sides' own."""
        sides = gram.unflatten(3, self.receive_shape).unflatten(2, self.receive_shape)
        if previous is None:
            rows_gram, rows_level = sides.diagonal(dim1=3, dim2=5).sum(-1), level * self.receive_shape[1]
        else:
            weight = previous.receive_columns
            rows_gram = _trace_out(sides, multiply(weight, weight), (2, 4))
            rows_level = level * energy(weight)
        receive_rows = shrink(rows_gram, thresholds[:, 0] * rows_level)
        columns_gram = _trace_out(sides, multiply(receive_rows, receive_rows), (1, 3))
        return receive_rows, shrink(columns_gram, thresholds[:, 1] * level * energy(receive_rows))


def shrink(gram: Tensor, threshold: Tensor) -> Tensor:
    """Apply w → w² / (w² + t²) to the eigenvalues of Hermitian [M, 2, n, n], t = threshold [M].

    It is 1 − t·Re(1/(t + iw)): one inverse of a matrix whose condition is that of the Gram matrix, not of its square.
    """
    size, scale = gram.shape[-1], threshold.view(-1, 1, 1)
    identity = torch.eye(2 * size, device=gram.device)
    real, imaginary = gram.unbind(1)
    # i times the Gram matrix, laid out as `embed` does.
    turned = torch.cat([torch.cat([-imaginary, -real], dim=-1), torch.cat([real, -imaginary], dim=-1)], dim=-2)
    inverse, _ = torch.linalg.inv_ex(turned + scale * identity)
    kept = identity - scale / 2 * (inverse + inverse.mT)
    return kept[..., :size].unflatten(1, (2, size))


def _kronecker(left: Tensor, right: Tensor) -> Tensor:
    """Kronecker product of [M, 2, a, a] and [M, 2, b, b]: [M, 2, a·b, a·b]."""
    left, right = left[:, :, :, None, :, None], right[:, :, None, :, None, :]
    real = left[:, 0] * right[:, 0] - left[:, 1] * right[:, 1]
    imaginary = left[:, 0] * right[:, 1] + left[:, 1] * right[:, 0]
    return torch.stack([real, imaginary], dim=1).flatten(4, 5).flatten(2, 3)


def _trace_out(sides: Tensor, weight: Tensor, axes: tuple[int, int]) -> Tensor:
    """Contract [M, 2, a, b, a, b] with a weight [M, 2, side, side] over one side: `axes` are its two places there."""
    others = [axis for axis in range(1, 5) if axis not in axes]
    turned = weight.mT.unsqueeze(others[0] + 1).unsqueeze(others[1] + 1)
    real = sides[:, 0] * turned[:, 0] - sides[:, 1] * turned[:, 1]
    imaginary = sides[:, 0] * turned[:, 1] + sides[:, 1] * turned[:, 0]
    return torch.stack([real.sum(axes), imaginary.sum(axes)], dim=1)
