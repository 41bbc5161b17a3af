"""Gates: masks in [0, 1] over beamspace, from powers alone, so that multiplying by them keeps every phase.

A context network looks at the mean power over each array's directions; cells get its answer for their transmit and
their receive direction, together with their own powers and those around them.
Dimension letters: M taps, R receive cells, T transmit cells, C hidden channels, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_NUM_FEATURES = 4
_KERNEL = ((0.05, 0.1, 0.05), (0.1, 0.4, 0.1), (0.05, 0.1, 0.05))


@dataclass(frozen=True)
class Evidence:
    """What a gate sees: powers [M, R, T] of noisy and filtered taps, each 1 where noise is alone, and levels [M].

    `pass_fraction` is the fraction of noise that the filter let through.
    """

    noisy: Tensor
    filtered: Tensor
    csi_snr_db: Tensor
    pass_fraction: Tensor

    @staticmethod
    def of(taps: Tensor, filtered: Tensor, csi_snr_db: Tensor, pass_fraction: Tensor) -> Evidence:
        """Measure powers of noisy and filtered taps [M, 2, R, X, Y]."""
        return Evidence(
            noisy=taps.square().sum(1).flatten(2),
            filtered=filtered.square().sum(1).flatten(2) / pass_fraction[:, None, None],
            csi_snr_db=csi_snr_db,
            pass_fraction=pass_fraction,
        )

    def marginal(self, axis: int, shape: tuple[int, int]) -> Tensor:
        """Log powers averaged over one array, with the levels: [M, *shape, F]."""
        noisy = torch.log(self.noisy.mean(axis) + 0.1)
        filtered = torch.log(self.filtered.mean(axis) + 0.1) * 0.5
        levels = (self.csi_snr_db / 10, torch.log(self.pass_fraction) * 0.3)
        features = [noisy, filtered, *(level[:, None].expand_as(noisy) for level in levels)]
        return torch.stack(features, dim=2).unflatten(1, shape)


class ContextBlock(nn.Module):
    """Residual block on [M, rows, columns, width]: circular depthwise 3×3 convolution, then two pointwise layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, width, 3, groups=width)
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, features: Tensor) -> Tensor:
        padded = torch.cat([features[:, -1:], features, features[:, :1]], dim=1)
        padded = torch.cat([padded[:, :, -1:], padded, padded[:, :, :1]], dim=2)
        spread = self.spread(padded.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return features + self.narrow(functional.silu(self.widen(spread)))


class Context(nn.Module):
    """From marginal powers over one array's directions [M, rows, columns, F] to [outputs, M, cells]."""

    def __init__(self, num_outputs: int, width: int, num_blocks: int) -> None:
        super().__init__()
        self.enter = nn.Linear(_NUM_FEATURES, width)
        self.blocks = nn.Sequential(*(ContextBlock(width) for _ in range(num_blocks)))
        self.leave = nn.Linear(width, num_outputs)

    def forward(self, marginal: Tensor) -> Tensor:
        features = functional.silu(self.blocks(self.enter(marginal))).flatten(1, 2)
        outputs = self.leave.weight @ features.flatten(0, 1).mT
        return outputs.view(-1, *features.shape[:2]) + self.leave.bias[:, None, None]


class SeparableGate(nn.Module):
    """The product of a transmit and a receive mask."""

    def __init__(self, receive_shape: tuple[int, int], transmit_shape: tuple[int, int], width: int = 24) -> None:
        super().__init__()
        self.receive_shape, self.transmit_shape = receive_shape, transmit_shape
        self.transmit = Context(1, width, num_blocks=2)
        self.receive = Context(1, width, num_blocks=2)
        for context in (self.transmit, self.receive):
            nn.init.constant_(context.leave.bias, 1.5)

    def forward(self, evidence: Evidence) -> Tensor:
        """Mask [M, R, T]."""
        transmit = torch.sigmoid(self.transmit(evidence.marginal(1, self.transmit_shape)))
        receive = torch.sigmoid(self.receive(evidence.marginal(2, self.receive_shape)))
        return receive[0, :, :, None] * transmit[0, :, None]


class CellGate(nn.Module):
    """A mask for each pair of directions; `is_joint` lets hidden features spread over both arrays once more."""

    def __init__(
        self,
        receive_shape: tuple[int, int],
        transmit_shape: tuple[int, int],
        *,
        num_hidden: int,
        is_joint: bool,
        width: int = 24,
    ) -> None:
        super().__init__()
        self.receive_shape, self.transmit_shape = receive_shape, transmit_shape
        self.transmit = Context(num_hidden, width, num_blocks=3)
        self.receive = Context(num_hidden, width, num_blocks=3)
        self.smooth_transmit = PlaneSmoothing(transmit_shape)
        self.smooth_receive = PlaneSmoothing(receive_shape)
        self.local = nn.Linear(_NUM_FEATURES, num_hidden)
        self.spread = JointSpread(receive_shape, transmit_shape, num_hidden) if is_joint else None
        self.leave = nn.Linear(num_hidden, 1)
        nn.init.constant_(self.leave.bias, 2.0)
        with torch.no_grad():
            self.leave.weight.mul_(0.3)

    def forward(self, evidence: Evidence) -> Tensor:
        """Mask [M, R, T]."""
        transmit = self.transmit(evidence.marginal(1, self.transmit_shape))
        receive = self.receive(evidence.marginal(2, self.receive_shape))
        features = self._describe_cells(evidence)
        shape = features.shape[1:]
        # Hidden channels first, so that pointwise layers are one GEMM and powers keep the layout they come in.
        hidden = (self.local.weight @ features.flatten(1)).unflatten(1, shape)
        hidden = hidden + (transmit + self.local.bias[:, None, None])[:, :, None] + receive[..., None]
        if self.spread is not None:
            hidden = self.spread(hidden)
        logits = self.leave.weight @ functional.silu(hidden).flatten(1)
        return torch.sigmoid(logits.view(shape) + self.leave.bias)

    def _describe_cells(self, evidence: Evidence) -> Tensor:
        """Log powers of cells and of their surroundings: [F, M, R, T]."""
        transmit, receive = self.smooth_transmit.matrix(), self.smooth_receive.matrix()
        surroundings = [receive @ (power @ transmit) for power in (evidence.noisy, evidence.filtered)]
        return torch.stack(
            [
                torch.log1p(evidence.noisy),
                torch.log1p(10 * evidence.filtered) * 0.5,
                torch.log1p(surroundings[0]),
                torch.log1p(10 * surroundings[1]) * 0.5,
            ]
        )


class PlaneSmoothing(nn.Module):
    """A positive circular 3×3 kernel over one array's directions, as a symmetric-offset matrix [cells, cells]."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.tensor(_KERNEL).flatten())
        shifts = [_shift(shape, row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
        self.shifts: Tensor
        self.register_buffer("shifts", torch.stack(shifts), persistent=False)

    def matrix(self) -> Tensor:
        return (self.kernel.abs()[:, None, None] * self.shifts).sum(0)


class JointSpread(nn.Module):
    """Residual: circular convolutions over all of both arrays' directions, one kernel per channel, then a mixture.

    Kernels as large as the plane are circulant matrices, and those products run at the speed of a GEMM.
    """

    def __init__(self, receive_shape: tuple[int, int], transmit_shape: tuple[int, int], num_channels: int) -> None:
        super().__init__()
        self.transmit_kernel = nn.Parameter(_noisy_centre(num_channels, transmit_shape, 0.02))
        self.receive_kernel = nn.Parameter(_noisy_centre(num_channels, receive_shape, 0.05))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.mix = nn.Parameter(torch.randn(num_channels, num_channels) * 0.2 / num_channels**0.5)
        self.transmit_offsets: Tensor
        self.receive_offsets: Tensor
        self.register_buffer("transmit_offsets", _list_offsets(transmit_shape), persistent=False)
        self.register_buffer("receive_offsets", _list_offsets(receive_shape), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Spread [C, M, R, T]."""
        active = functional.silu(hidden).flatten(1, 2)
        spread = torch.bmm(active, self.transmit_kernel[:, self.transmit_offsets]).view(hidden.shape)
        receive = self.receive_kernel[:, self.receive_offsets][:, None].expand(-1, hidden.shape[1], -1, -1)
        spread = torch.bmm(receive.flatten(0, 1), spread.flatten(0, 1)).view(hidden.shape)
        spread = spread + self.bias[:, None, None, None]
        return hidden + (self.mix @ functional.silu(spread).flatten(1)).view(hidden.shape)


def _shift(shape: tuple[int, int], row: int, column: int) -> Tensor:
    """Permutation matrix of a circular shift of the plane: [cells, cells]."""
    rows = torch.eye(shape[0]).roll(row, 1)
    columns = torch.eye(shape[1]).roll(column, 1)
    return torch.kron(rows, columns)


def _list_offsets(shape: tuple[int, int]) -> Tensor:
    """Circular offset between any two cells, as an index into a flat kernel: int64 [cells, cells]."""
    index = torch.arange(shape[0] * shape[1])
    row, column = index // shape[1], index % shape[1]
    return (row[:, None] - row) % shape[0] * shape[1] + (column[:, None] - column) % shape[1]


def _noisy_centre(num_channels: int, shape: tuple[int, int], deviation: float) -> Tensor:
    kernel = torch.randn(num_channels, shape[0] * shape[1]) * deviation
    kernel[:, 0] += 0.5
    return kernel
