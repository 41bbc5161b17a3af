"""Hybrid precoders and combiners: phase-only analog parts shared by all subcarriers, digital parts for each.

The analog part is designed by closed-form phase alternating minimisation, unrolled: with C = Σ F_k F_BB,kᴴ and
G = Σ F_BB F_BBᴴ, column j becomes the phases of C_j − (F_RF G)_j + F_RF,j G_jj, over-relaxed by a learned factor in
each sweep. Then the combiner is designed for the channel as the analog precoder leaves it, and both digital parts
follow from the channel between the analog ones.
Dimension letters: N channels, K subcarriers, T antennas, L RF chains, S = K·Ns targets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.beamformer.beamspace import Beamspace
from training.beamformer.paired import adjoint, gram_rows, invert, multiply, orthonormalize
from training.beamformer.repetition import repeat
from training.beamformer.subspace import dominant_eigenvectors

_RIDGE = 1e-6
_TINY = 1e-20


@dataclass(frozen=True)
class HybridWeights:
    """Pairs: precoder [N·K, 2, T, Ns] = analog [N, 2, T, L] · baseband [N·K, 2, L, Ns]; the combiner likewise."""

    precoder: Tensor
    combiner: Tensor
    analog_precoder: Tensor
    baseband_precoder: Tensor
    analog_combiner: Tensor
    baseband_combiner: Tensor


@dataclass(frozen=True)
class Chains:
    """RF chains of N channels, or of all alike where there is one row, and what was learned for so many.

    `present` float [N, L] is 1 where a channel has a chain and 0 where not, the first chains before others. The
    over-relaxations of either side are [N, sweeps].
    """

    present: Tensor
    precoder_relaxation: Tensor
    combiner_relaxation: Tensor


class PhaseSweeps(nn.Module):
    """A learned over-relaxation for each sweep of one side."""

    def __init__(self, num_sweeps: int) -> None:
        super().__init__()
        self.relaxation = nn.Parameter(torch.full((num_sweeps,), 0.6))


class HybridDesign(nn.Module):
    """Turn fully digital weights and the channel estimate behind them into hybrid weights."""

    def __init__(self, beamspace: Beamspace, num_streams: int) -> None:
        super().__init__()
        self.beamspace = beamspace
        self.num_streams = num_streams

    def design(self, estimate: Tensor, precoder: Tensor, chains: Chains) -> HybridWeights:
        """Design from beamspace channels [N·K, 2, R, T] and precoders [N·K, 2, T, Ns]; absent chains are zeros."""
        present = chains.present[:, None, None, :]
        analog_precoder = approximate_by_phases(self._gather(precoder), chains.present, chains.precoder_relaxation)
        transmit_basis = orthonormalize(analog_precoder) * present
        reduced = self._reduce_transmit(estimate, transmit_basis)
        streams = dominant_eigenvectors(gram_rows(adjoint(reduced)), self.num_streams)
        combiner = self.beamspace.receive_response(orthonormalize(multiply(reduced, streams)))
        analog_combiner = approximate_by_phases(self._gather(combiner), chains.present, chains.combiner_relaxation)
        receive_basis = orthonormalize(analog_combiner) * present
        cells = self._repeat(self.beamspace.receive_cells(receive_basis))
        between = multiply(adjoint(cells), reduced)
        right = dominant_eigenvectors(gram_rows(adjoint(between)), self.num_streams)
        left = orthonormalize(multiply(between, right))
        return _assemble(analog_precoder, transmit_basis, right, analog_combiner, receive_basis, left)

    def _gather(self, weights: Tensor) -> Tensor:
        """Put the subcarriers' weights [N·K, 2, T, Ns] side by side: [N, 2, T, S]."""
        return weights.unflatten(0, (-1, self.beamspace.num_subcarriers)).permute(0, 2, 3, 1, 4).flatten(3)

    def _repeat(self, matrices: Tensor) -> Tensor:
        return matrices.repeat_interleave(self.beamspace.num_subcarriers, dim=0)

    def _reduce_transmit(self, estimate: Tensor, basis: Tensor) -> Tensor:
        """Channels [N·K, 2, R, L] between the receive cells and a transmit basis [N, 2, T, L]."""
        return multiply(estimate, self._repeat(self.beamspace.transmit_cells(basis)))


class HybridHead(HybridDesign):
    """Hybrid weights of `num_chains` chains."""

    def __init__(self, beamspace: Beamspace, num_chains: int, num_streams: int, num_sweeps: int = 8) -> None:
        super().__init__(beamspace, num_streams)
        self.num_chains = num_chains
        self.precoder_sweeps = PhaseSweeps(num_sweeps)
        self.combiner_sweeps = PhaseSweeps(num_sweeps)

    def forward(self, estimate: Tensor, precoder: Tensor) -> HybridWeights:
        """Design from beamspace channels [N·K, 2, R, T] and precoders [N·K, 2, T, Ns]."""
        present = torch.ones(1, self.num_chains, device=estimate.device)
        relaxations = self.precoder_sweeps.relaxation[None], self.combiner_sweeps.relaxation[None]
        return self.design(estimate, precoder, Chains(present, *relaxations))


class HybridHeads(HybridDesign):
    """Several heads as one that takes as long as the largest of them: each channel has a number of chains of its own.

    A program for each number would be captured and compiled once more, for minutes.
    """

    num_chains: Tensor

    def __init__(self, heads: Sequence[HybridHead]) -> None:
        super().__init__(heads[0].beamspace, heads[0].num_streams)
        self.heads = nn.ModuleList(heads)
        self.most_chains = max(head.num_chains for head in heads)
        self.register_buffer("num_chains", torch.tensor([head.num_chains for head in heads]), persistent=False)

    def forward(self, estimate: Tensor, precoder: Tensor, num_chains: Tensor) -> HybridWeights:
        """Design from beamspace channels [N·K, 2, R, T], precoders [N·K, 2, T, Ns] and numbers of chains int64 [N]."""
        numbers = torch.arange(self.most_chains, device=num_chains.device)
        is_head = (num_chains[:, None] == self.num_chains).to(estimate.dtype)[..., None]
        relaxations = (
            (is_head * torch.stack([getattr(head, side).relaxation for head in self.heads])).sum(1)
            for side in ("precoder_sweeps", "combiner_sweeps")
        )
        present = (numbers < num_chains[:, None]).to(estimate.dtype)
        return self.design(estimate, precoder, Chains(present, *relaxations))


def approximate_by_phases(targets: Tensor, present: Tensor, relaxation: Tensor) -> Tensor:
    """Approximate targets [N, 2, T, S] by L columns of unit modulus, [N, 2, T, L]; absent ones are zeros.

    `present` and `relaxation` are those of `Chains`; a column that is zero stays so and takes nothing from others.
    """
    start = multiply(targets, dominant_eigenvectors(gram_rows(adjoint(targets)), present.shape[1]))
    columns = _keep_phase(start.movedim(-1, 1)) * present[:, :, None, None]
    rows = targets.permute(0, 3, 1, 2).flatten(2)
    side_by_side = targets.transpose(1, 2).flatten(2)

    def sweep(index: Tensor, columns: Tensor) -> Tensor:
        return _sweep(rows, side_by_side, columns, relaxation.index_select(1, index.view(1))[..., None])

    return repeat(sweep, columns, relaxation.shape[1]).movedim(1, -1)


def _sweep(rows: Tensor, side_by_side: Tensor, columns: Tensor, relaxation: Tensor) -> Tensor:
    """Renew columns [N, L, 2, T] one after the other, each in sight of those renewed before it; relaxation [N, 1, 1].

    The targets come twice, as GEMMs want them: [Re Yᵀ, Im Yᵀ], [N, S, 2T], and [Re Y, Im Y], [N, T, 2S].
    """
    size, num_antennas = columns.shape[1], columns.shape[-1]
    parts = columns.transpose(1, 2).flatten(1, 2)
    gram = _join_products(torch.bmm(parts, parts.mT), size) / num_antennas
    wanted = _join_products(torch.bmm(parts, side_by_side), size) / num_antennas
    baseband = multiply(invert(gram + _ridge(gram)), wanted)
    cross = torch.bmm(baseband.flatten(1, 2), rows).unflatten(-1, (2, -1))
    real = cross[:, :size, 0] + cross[:, size:, 1]
    imaginary = cross[:, :size, 1] - cross[:, size:, 0]
    wanted = torch.stack([real, imaginary], dim=2)
    # What the others give to a column is taken away: c·w = c·Re w + (i·c)·Im w, with w [N, from, re/im, to].
    weight = gram_rows(baseband).transpose(1, 2) * (1 - torch.eye(size, device=columns.device))[:, None]
    both = _with_turned(columns)
    for index in range(size):
        rest = wanted[:, index] - (both * weight[..., index, None, None]).sum((1, 2))
        phases = _keep_phase(rest)
        renewed = _keep_phase(phases + relaxation * (phases - both[:, index, 0]))
        both = both.select_scatter(_with_turned(renewed), 1, index)
    return both[:, :, 0]


def fit_baseband(analog: Tensor, targets: Tensor) -> Tensor:
    """Least-squares baseband [N, 2, L, S] for unit-modulus analog columns [N, 2, T, L] and targets [N, 2, T, S]."""
    num_antennas = analog.shape[2]
    gram = gram_rows(adjoint(analog)) / num_antennas
    return multiply(invert(gram + _ridge(gram)), multiply(adjoint(analog), targets)) / num_antennas


def _ridge(gram: Tensor) -> Tensor:
    identity = torch.eye(gram.shape[-1], device=gram.device)
    return torch.stack([identity, torch.zeros_like(identity)]) * _RIDGE


def _join_products(products: Tensor, num_rows: int) -> Tensor:
    """Make the pair Aᴴ B [N, 2, L, S] of the real products [N, 2L, 2S] of [Re A, Im A]ᵀ with [Re B, Im B]."""
    size = products.shape[-1] // 2
    real = products[:, :num_rows, :size] + products[:, num_rows:, size:]
    imaginary = products[:, :num_rows, size:] - products[:, num_rows:, :size]
    return torch.stack([real, imaginary], dim=1)


def _assemble(
    analog_precoder: Tensor,
    transmit_basis: Tensor,
    right: Tensor,
    analog_combiner: Tensor,
    receive_basis: Tensor,
    left: Tensor,
) -> HybridWeights:
    """Scale the analog parts to constant modulus 1/√antennas and express the weights through them."""
    num_subcarriers = right.shape[0] // transmit_basis.shape[0]
    parts = []
    for analog, basis, streams in (
        (analog_precoder, transmit_basis, right),
        (analog_combiner, receive_basis, left),
    ):
        root = math.sqrt(analog.shape[2])
        baseband = fit_baseband(analog, basis) * root
        baseband = multiply(baseband.repeat_interleave(num_subcarriers, dim=0), streams)
        weights = multiply((analog / root).repeat_interleave(num_subcarriers, dim=0), baseband)
        parts.append((weights, analog / root, baseband))
    (precoder, *precoder_parts), (combiner, *combiner_parts) = parts
    return HybridWeights(precoder, combiner, *precoder_parts, *combiner_parts)


def _keep_phase(values: Tensor) -> Tensor:
    """Scale complex values [N, …, 2, T] to modulus 1."""
    return values * torch.rsqrt(values.square().sum(-2, keepdim=True) + _TINY)


def _with_turned(columns: Tensor) -> Tensor:
    """Put columns [N, …, 2, T] and the same times i one behind the other: [N, …, 2, 2, T]."""
    real, imaginary = columns.unbind(-2)
    return torch.stack([columns, torch.stack([-imaginary, real], dim=-2)], dim=-3)
