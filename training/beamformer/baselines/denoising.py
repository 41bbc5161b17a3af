"""Closed-form denoisers of channel estimates; the beamformer is then an SVD of their result.

All work on delay taps: with as many clusters as subcarriers, an inverse DFT separates the clusters exactly.
Dimension letters: N channels, K subcarriers, M = N·K taps, R receive and T transmit antennas.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.beamformer.beamspace import fourier_matrix
from training.beamformer.channel import ChannelModel, Rays


def to_taps(channel: Tensor) -> Tensor:
    """Unitary inverse DFT over subcarriers: complex [N, K, R, T] → taps [N, K, R, T], noise of the same variance."""
    delay = fourier_matrix(channel.shape[1]).conj().to(channel)
    return torch.einsum("ck,nkrt->ncrt", delay, channel)


def to_subcarriers(taps: Tensor) -> Tensor:
    """Inverse of `to_taps`."""
    return torch.einsum("kc,ncrt->nkrt", fourier_matrix(taps.shape[1]).to(taps), taps)


def shrink_singular_values(channel: Tensor, noise_variance: Tensor) -> Tensor:
    """Shrink each tap's singular values optimally for Frobenius loss; noise_variance is [N].

    Source: Gavish and Donoho 2017, Optimal Shrinkage of Singular Values, eq. 7.
    """
    left, values, right = torch.linalg.svd(to_taps(channel), full_matrices=False)
    rows, columns = channel.shape[-2:]
    ratio = rows / columns
    scaled = values / (columns * noise_variance)[:, None, None].sqrt()
    inside = ((scaled**2 - ratio - 1) ** 2 - 4 * ratio).clamp_min(0)
    shrunk = torch.where(scaled > 1 + math.sqrt(ratio), inside.sqrt() / scaled**2, 0.0)
    return to_subcarriers((left * (values * shrunk)[:, :, None, :].to(left.dtype)) @ right)


def truncate_hosvd(
    channel: Tensor, model: ChannelModel, ranks: tuple[int, int, int, int], num_sweeps: int = 4
) -> Tensor:
    """Project each tap, a tensor of the four array sides, on a dominant subspace of each of its unfoldings.

    The first sweep is the truncated HOSVD; each further one unfolds what the other sides' projections leave (HOOI).

    Source: De Lathauwer, De Moor, Vandewalle 2000, A Multilinear Singular Value Decomposition, and On the Best Rank-1
    and Rank-(R1, …, RN) Approximation of Higher-Order Tensors, algorithm 4.2.
    """
    taps = _split_sides(to_taps(channel), model)
    projections: list[Tensor] = [_project_on_dominant(taps, side, rank) for side, rank in enumerate(ranks)]
    for _ in range(num_sweeps - 1):
        for side, rank in enumerate(ranks):
            projected = taps
            for other in range(4):
                if other != side:
                    projected = _apply_side(projected, projections[other], other)
            projections[side] = _project_on_dominant(projected, side, rank)
    for side in range(4):
        taps = _apply_side(taps, projections[side], side)
    return to_subcarriers(taps.reshape(channel.shape))


def _project_on_dominant(taps: Tensor, side: int, rank: int) -> Tensor:
    """Projection [M, side, side] on the dominant subspace of one side of [M, A, B, X, Y]."""
    unfolded = _unfold(taps, side)
    _, vectors = torch.linalg.eigh(unfolded @ unfolded.mH)
    basis = vectors[..., -rank:]
    return basis @ basis.mH


def filter_multilinear(
    channel: Tensor,
    model: ChannelModel,
    noise_variance: Tensor,
    *,
    threshold: float = 0.85,
    exponent: float = 1.5,
    num_sweeps: int = 8,
) -> Tensor:
    """Iterated multilinear Wiener filter, gain max(0, 1 − threshold·level/w)^exponent; noise_variance is [N]."""
    taps = _split_sides(to_taps(channel), model)
    noise = noise_variance.repeat_interleave(channel.shape[1])
    filters = [torch.eye(size, dtype=taps.dtype).expand(len(taps), size, size) for size in taps.shape[1:]]
    for _ in range(num_sweeps):
        for side in range(4):
            others = [other for other in range(4) if other != side]
            filtered, level = taps, noise
            for other in others:
                filtered = _apply_side(filtered, filters[other], other)
                level = level * filters[other].abs().square().sum((1, 2))
            unfolded = _unfold(filtered, side)
            values, vectors = torch.linalg.eigh(unfolded @ unfolded.mH)
            ratio = level[:, None] / values.clamp_min(1e-12)
            gain = (1 - threshold * ratio).clamp_min(0) ** exponent
            filters[side] = (vectors * gain[:, None, :].to(vectors.dtype)) @ vectors.mH
    for side in range(4):
        taps = _apply_side(taps, filters[side], side)
    return to_subcarriers(taps.reshape(channel.shape))


def project_on_known_angles(channel: Tensor, rays: Rays) -> Tensor:
    """Project each tap on the spans of its true array responses, receive and transmit: a genie told the angles."""
    receive, _ = torch.linalg.qr(rays.receive)
    transmit, _ = torch.linalg.qr(rays.transmit)
    return to_subcarriers(receive @ (receive.mH @ to_taps(channel) @ transmit) @ transmit.mH)


def estimate_gains_of_known_angles(channel: Tensor, model: ChannelModel, rays: Rays, noise_variance: Tensor) -> Tensor:
    """Linear MMSE estimate of the path gains: a genie told which angles belong together; noise_variance is [N].

    Raises:
        ValueError: clusters share taps, so that the taps do not separate them.
    """
    if model.num_clusters != model.num_subcarriers:
        raise ValueError(f"the genie needs as many clusters as subcarriers, got {model}")
    taps = to_taps(channel)
    num_paths = model.num_clusters * model.rays_per_cluster
    # A unitary DFT gives √K times the cluster, whose path gains have variance R·T/paths.
    power = model.num_subcarriers * model.num_receive * model.num_transmit / num_paths
    correlation = (rays.receive.mH @ rays.receive) * (rays.transmit.mH @ rays.transmit).conj()
    matched = (rays.receive.conj() * (taps @ rays.transmit)).sum(-2)
    loading = (noise_variance / power)[:, None, None, None] * torch.eye(model.rays_per_cluster, dtype=taps.dtype)
    gains = torch.linalg.solve(correlation + loading, matched)
    return to_subcarriers((rays.receive * gains[:, :, None, :]) @ rays.transmit.mH)


def _split_sides(taps: Tensor, model: ChannelModel) -> Tensor:
    """Turn [N, K, R, T] into tensors [M, A, B, X, Y] of the four array sides."""
    return taps.reshape(-1, *model.receive_shape, *model.transmit_shape)


def _unfold(taps: Tensor, side: int) -> Tensor:
    return taps.movedim(side + 1, 1).flatten(2)


def _apply_side(taps: Tensor, matrix: Tensor, side: int) -> Tensor:
    """Multiply one side of [M, A, B, X, Y] by [M, side, side]."""
    moved = taps.movedim(side + 1, 1)
    return (matrix @ moved.flatten(2)).view(moved.shape).movedim(1, side + 1)
