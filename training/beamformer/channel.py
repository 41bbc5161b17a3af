"""Clustered mmWave channels between uniform planar arrays, and noisy observations of them.

Dimension letters: N channels, K subcarriers, C clusters, P paths (rays) of a cluster, R receive and T transmit
antennas.
Source: Yu, Shen, Zhang, Letaief, "Alternating Minimization Algorithms for Hybrid Precoding in Millimeter Wave MIMO
Systems", IEEE JSTSP 2016, section II-B, and the simulation code published with it (angles, truncation, scaling).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class ChannelModel:
    """Geometry of the channel: cluster c arrives c samples after the first, so it is the c-th delay tap."""

    num_clusters: int = 5
    rays_per_cluster: int = 10
    spread_deg: float = 10.0
    num_subcarriers: int = 5
    receive_shape: tuple[int, int] = (6, 6)
    transmit_shape: tuple[int, int] = (12, 12)

    def __post_init__(self) -> None:
        counts = (
            self.num_clusters,
            self.rays_per_cluster,
            self.num_subcarriers,
            *self.receive_shape,
            *self.transmit_shape,
        )
        if min(counts) < 1:
            raise ValueError(f"clusters, rays, subcarriers and array sides must be at least 1, got {self}")
        if not 0 < self.spread_deg <= 90:
            raise ValueError(f"spread_deg must be in (0, 90], got {self.spread_deg}")

    @property
    def num_receive(self) -> int:
        return math.prod(self.receive_shape)

    @property
    def num_transmit(self) -> int:
        return math.prod(self.transmit_shape)


@dataclass(frozen=True)
class Rays:
    """Paths of sampled channels: unit-norm responses complex64 [N, C, antennas, P] and gains complex64 [N, C, P]."""

    receive: torch.Tensor
    transmit: torch.Tensor
    gains: torch.Tensor


def steer_array(azimuth_rad: torch.Tensor, elevation_rad: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Respond to plane waves: unit-norm complex64 [..., rows × columns] for angles [...], half-wavelength spacing."""
    row_phasor = _progress_phase(torch.sin(azimuth_rad) * torch.sin(elevation_rad), shape[0])
    column_phasor = _progress_phase(torch.cos(elevation_rad), shape[1])
    return (row_phasor[..., :, None] * column_phasor[..., None, :]).flatten(-2)


def sample_rays(model: ChannelModel, num_channels: int, generator: torch.Generator) -> Rays:
    """Draw the angles and gains of `num_channels` channels."""
    shape = (num_channels, model.num_clusters, model.rays_per_cluster)
    angles_rad = [_sample_angles(shape, model.spread_deg, generator) for _ in range(4)]
    return Rays(
        receive=steer_array(angles_rad[0], angles_rad[1], model.receive_shape).mT,
        transmit=steer_array(angles_rad[2], angles_rad[3], model.transmit_shape).mT,
        gains=_complex_normal(shape, generator),
    )


def combine_rays(model: ChannelModel, rays: Rays) -> torch.Tensor:
    """Sum the rays to channels complex64 [N, K, R, T] with a mean power of 1 per entry."""
    num_rays = model.num_clusters * model.rays_per_cluster
    scale = math.sqrt(model.num_receive * model.num_transmit / num_rays)
    clusters_NCRT = (rays.receive * (scale * rays.gains)[:, :, None, :]) @ rays.transmit.mH
    delay = torch.outer(torch.arange(model.num_subcarriers), torch.arange(model.num_clusters))
    rotation_KC = torch.exp(-2j * math.pi * delay / model.num_subcarriers).to(clusters_NCRT)
    return torch.einsum("kc,ncrt->nkrt", rotation_KC, clusters_NCRT)


def sample_channels(model: ChannelModel, num_channels: int, generator: torch.Generator) -> torch.Tensor:
    """Draw channels complex64 [N, K, R, T]; the same generator state gives the same channels."""
    return combine_rays(model, sample_rays(model, num_channels, generator))


def add_noise(channel: torch.Tensor, csi_snr_db: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Add complex white noise of variance 10^(−csi_snr_db/10) per entry; csi_snr_db is [N], infinity adds none."""
    deviation = torch.pow(10.0, -csi_snr_db.to(torch.float32) / 20)
    return channel + deviation[:, None, None, None] * _complex_normal(tuple(channel.shape), generator)


def _progress_phase(direction_cosine: torch.Tensor, num_antennas: int) -> torch.Tensor:
    """Respond along one side of an array: unit-norm complex64 [..., antennas]."""
    index = torch.arange(num_antennas, dtype=torch.float32, device=direction_cosine.device)
    phase_rad = math.pi * direction_cosine[..., None] * index
    return torch.polar(torch.full_like(phase_rad, 1 / math.sqrt(num_antennas)), phase_rad)


def _complex_normal(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=generator, device=generator.device)


def _sample_angles(shape: tuple[int, int, int], spread_deg: float, generator: torch.Generator) -> torch.Tensor:
    """Draw ray angles [N, C, P] in radians: uniform cluster means plus Laplacian offsets truncated to ±π."""
    mean_rad = 2 * math.pi * torch.rand(shape[:2], generator=generator, device=generator.device)
    uniform = torch.rand(shape, dtype=torch.float64, generator=generator, device=generator.device) - 0.5
    scale_rad = math.radians(spread_deg) / math.sqrt(2)
    # b·ln(e^{π/b} + (2 − 2e^{π/b})|u|) with e^{π/b} taken out, so that narrow spreads do not overflow.
    tail = math.exp(-math.pi / scale_rad)
    offset_rad = -torch.sign(uniform) * scale_rad * torch.log1p((2 * tail - 2) * uniform.abs())
    return mean_rad[..., None] + offset_rad.to(torch.float32)
