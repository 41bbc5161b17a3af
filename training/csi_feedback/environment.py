"""Generated wideband channels between a user equipment with one antenna and a base station with a line of them.

Clusters of rays arrive around their own angle and delay, weaker the later they come, as in COST 2100; what is kept is
the angular-delay domain: the first delay taps, and a DFT over the antennas.
Dimensions: N channels, C clusters, P rays of a cluster, T delay taps, A antennas (angles after the DFT).
Source: Liu et al. 2012, The COST 2100 MIMO channel model, IEEE Wireless Communications 19(6) (clusters); Wen, Shih and
Jin 2018, IEEE Wireless Communications Letters 7(5), section II (the domain, 32 antennas, 32 taps).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_FIRST_TAP = 2.0  # where the first ray arrives, so that what a limited band spreads ahead of it is kept

_LEAST_UNIFORM = 1e-7 - 0.5


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where channels are: delays are in taps, the inverse of the bandwidth (50 ns at 20 MHz)."""

    num_clusters: int
    rays_per_cluster: int
    cluster_delay_taps: (
        float  # mean excess delay of clusters; their power falls by 1/e in as much, so the spread is half
    )
    ray_delay_taps: float  # mean delay of a ray after its cluster's first
    spread_deg: float
    shadowing_db: float


# Rooms have delay spreads of some 50 ns; fields and towns of some 250 ns, with more clusters and wider ones.
INDOOR = Environment(
    num_clusters=5, rays_per_cluster=10, cluster_delay_taps=2.0, ray_delay_taps=0.2, spread_deg=5.0, shadowing_db=3.0
)
OUTDOOR = Environment(
    num_clusters=10, rays_per_cluster=10, cluster_delay_taps=10.0, ray_delay_taps=0.5, spread_deg=10.0, shadowing_db=3.0
)


def draw_channels(
    environment: Environment, count: int, generator: torch.Generator, *, num_taps: int, num_antennas: int
) -> Tensor:
    """Draw channels float32 [N, T, A, 2], the mean power of each one's complex entries 1."""
    clusters = (count, environment.num_clusters)
    rays = (*clusters, environment.rays_per_cluster)
    device = generator.device

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    cluster_delay = -environment.cluster_delay_taps * torch.log1p(-draw(clusters))
    cluster_delay = cluster_delay - cluster_delay.amin(1, keepdim=True)
    delay = cluster_delay[..., None] - environment.ray_delay_taps * torch.log1p(-draw(rays))
    shadowing_db = environment.shadowing_db * torch.randn(clusters, generator=generator, device=device)
    power = torch.exp(-cluster_delay / environment.cluster_delay_taps) * torch.pow(10.0, shadowing_db / 10)
    gains = power.sqrt()[..., None] * torch.randn(rays, dtype=torch.complex64, generator=generator, device=device)

    # Numbers drawn may be 0, and a Laplacian's tail has no end there.
    uniform = (draw(rays) - 0.5).clamp_min(_LEAST_UNIFORM)
    scale_rad = math.radians(environment.spread_deg) / math.sqrt(2)
    offset_rad = -scale_rad * uniform.sign() * torch.log1p(-2 * uniform.abs())
    angle_rad = math.pi * (draw(clusters) - 0.5)[..., None] + offset_rad
    phase_rad = math.pi * angle_rad.sin()[..., None] * torch.arange(num_antennas, device=device)
    antennas = torch.polar(torch.ones_like(phase_rad), phase_rad).flatten(1, 2)
    taps = torch.sinc(torch.arange(num_taps, device=device) - _FIRST_TAP - delay[..., None]).flatten(1, 2)

    response = (gains.flatten(1)[..., None] * taps).mT @ torch.fft.fft(antennas, norm="ortho")
    return normalize_power(torch.view_as_real(response))


def normalize_power(channels: Tensor) -> Tensor:
    """Scale channels [N, T, A, 2] so that the mean power of each one's complex entries is 1; zeros stay zeros."""
    power = channels.square().sum(3).mean((1, 2))
    return channels * torch.where(power > 0, power, 1).rsqrt()[:, None, None, None]
