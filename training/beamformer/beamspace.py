"""Fixed unitary transforms between channels and beamspace taps.

Dimension letters: N channels, K subcarriers (as many taps), M = N·K taps, R receive cells, X and Y the two sides of the
transmit array, A and B those of the receive array. White noise stays white and keeps its variance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.beamformer.paired import embed, gram_rows, to_pair


def fourier_matrix(size: int) -> Tensor:
    """Unitary DFT, complex64 [size, size]."""
    index = torch.arange(size, dtype=torch.float64)
    return torch.exp(-2j * math.pi * torch.outer(index, index) / size).div(math.sqrt(size)).to(torch.complex64)


def apply_receive(taps: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the receive axis of [M, 2, R, X, Y] by [M or 1, 2, R, R]."""
    return torch.bmm(embed(matrix).expand(taps.shape[0], -1, -1), taps.flatten(3).flatten(1, 2)).view(taps.shape)


def columns_last(taps: Tensor) -> Tensor:
    """Lay out [M, 2, R, X, Y] as [M, R, X, 2, Y]: products over Y then are one GEMM and leave that layout as it is."""
    return taps.permute(0, 2, 3, 1, 4).contiguous()


def pairs_first(sides: Tensor) -> Tensor:
    """Undo `columns_last`."""
    return sides.permute(0, 3, 1, 2, 4).contiguous()


def swap_sides(sides: Tensor) -> Tensor:
    """Turn [M, R, X, 2, Y] into [M, R, Y, 2, X], and back."""
    return sides.transpose(2, 4).contiguous()


def apply_last(sides: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the last axis of [M, R, X, 2, Y] by [M or 1, 2, Y, Y]."""
    return torch.bmm(_as_rows(sides), embed(matrix).mT.expand(sides.shape[0], -1, -1)).view(sides.shape)


def gram_last(sides: Tensor) -> Tensor:
    """Gram matrix of the last axis of [M, R, X, 2, Y]: [M, 2, Y, Y]."""
    return gram_rows(_as_rows(sides).mT.unflatten(1, (2, -1)))


def _as_rows(sides: Tensor) -> Tensor:
    return sides.flatten(3).flatten(1, 2)


class Beamspace(nn.Module):
    """Subcarriers to delay taps by an inverse DFT, antennas to directions by a 2-D DFT on either array."""

    def __init__(self, num_subcarriers: int, receive_shape: tuple[int, int], transmit_shape: tuple[int, int]) -> None:
        super().__init__()
        self.num_subcarriers = num_subcarriers
        self.transmit_shape = transmit_shape
        delay = fourier_matrix(num_subcarriers).conj()
        receive = torch.kron(fourier_matrix(receive_shape[0]), fourier_matrix(receive_shape[1]))
        sides = [fourier_matrix(size).conj() for size in transmit_shape]
        self.delay: Tensor
        self.receive: Tensor
        self.transmit: Tensor
        self.transmit_rows: Tensor
        self.transmit_columns: Tensor
        # Rows (tap, part), columns (subcarrier, part): the layout of channels with re/im in the last axis.
        interleaved = embed(to_pair(delay)).view(2, num_subcarriers, 2, num_subcarriers).permute(1, 0, 3, 2)
        self.register_buffer("delay", interleaved.reshape(2 * num_subcarriers, -1).contiguous(), persistent=False)
        self.register_buffer("receive", to_pair(receive), persistent=False)
        self.register_buffer("transmit", to_pair(torch.kron(*sides)), persistent=False)
        self.register_buffer("transmit_rows", to_pair(sides[0])[None], persistent=False)
        self.register_buffer("transmit_columns", to_pair(sides[1])[None], persistent=False)

    def analyze(self, channel: Tensor) -> Tensor:
        """Turn channels float [N, K, R, T, 2] into beamspace taps [M, 2, R, X, Y]."""
        num_receive, num_transmit = channel.shape[2:4]
        samples = channel.permute(0, 1, 4, 2, 3).reshape(-1, 2 * self.num_subcarriers, num_receive * num_transmit)
        taps = torch.bmm(self.delay.expand(samples.shape[0], -1, -1), samples).view(
            -1, 2, num_receive, *self.transmit_shape
        )
        columns = apply_last(columns_last(apply_receive(taps, self.receive[None])), self.transmit_columns)
        rows = apply_last(swap_sides(columns), self.transmit_rows)
        return pairs_first(swap_sides(rows))

    def to_subcarriers(self, taps: Tensor) -> Tensor:
        """Turn taps [M, 2, R, X, Y] into beamspace channels [M, 2, R, T], subcarrier by subcarrier."""
        shape = taps.shape
        samples = taps.reshape(-1, 2 * self.num_subcarriers, taps[0, 0].numel())
        return torch.bmm(self.delay.mT.expand(samples.shape[0], -1, -1), samples).view(shape[0], 2, shape[2], -1)

    def receive_response(self, vectors: Tensor) -> Tensor:
        """Turn beamspace vectors [M, 2, R, P] into antenna weights [M, 2, R, P]."""
        return _multiply_fixed(self.receive, vectors, adjoint=True)

    def transmit_response(self, vectors: Tensor) -> Tensor:
        """Turn beamspace vectors [M, 2, T, P] into antenna weights [M, 2, T, P]."""
        return _multiply_fixed(self.transmit, vectors, adjoint=False)

    def receive_cells(self, weights: Tensor) -> Tensor:
        """Turn antenna weights [M, 2, R, P] into beamspace vectors [M, 2, R, P]."""
        return _multiply_fixed(self.receive, weights, adjoint=False)

    def transmit_cells(self, weights: Tensor) -> Tensor:
        """Turn antenna weights [M, 2, T, P] into beamspace vectors [M, 2, T, P]."""
        return _multiply_fixed(self.transmit, weights, adjoint=True)


def _multiply_fixed(matrix: Tensor, vectors: Tensor, *, adjoint: bool) -> Tensor:
    """Multiply [M, 2, n, P] by a constant pair [2, n, n] or its adjoint; both are symmetric."""
    if adjoint:
        matrix = torch.stack([matrix[0], -matrix[1]])
    # The vectors of all M as rows of one GEMM; a matrix on the left would be multiplied M times.
    num_columns, size = vectors.shape[3], 2 * vectors.shape[2]
    rows = vectors.flatten(1, 2).mT.reshape(-1, size) @ embed(matrix).mT
    return rows.view(-1, num_columns, size).mT.reshape(vectors.shape)
