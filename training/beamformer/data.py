"""Where channels come from: generated ones, held out by their seed, or MATLAB files, held out by their place.

Dimension letters: N channels, K subcarriers, R receive and T transmit antennas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from training.beamformer.channel import ChannelModel, Rays, add_noise, combine_rays, sample_channels, sample_rays
from training.beamformer.mat_file import read_channels
from training.beamformer.recipe import Recipe
from training.engine.data_path import find_path
from training.engine.seeds import generator_for

GENERATED = "generated"
DATA_SETS = {
    GENERATED: "clustered mmWave channels, fresh ones in every step; held-out ones have a seed of their own",
    "mat:PATH": "a .mat file or a folder of them, here or below --data-root; the last fifth is held out",
}
_TEST_SEED = 20_160_401
_CHANNELS, _NOISE = 0, 1
_HELD_OUT_FRACTION = 0.2


def make_channel_model(recipe: Recipe) -> ChannelModel:
    """The channel model of a recipe."""
    return ChannelModel(
        num_clusters=recipe.num_clusters, rays_per_cluster=recipe.rays_per_cluster, spread_deg=recipe.spread_deg
    )


class Source(Protocol):
    """Channels to train on."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw channels complex64 [N, K, R, T], mean power 1 per entry over all of them."""


@dataclass(frozen=True)
class GeneratedSource:
    """Fresh channels for every draw."""

    model: ChannelModel

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return sample_channels(self.model, count, generator)


@dataclass(frozen=True)
class FileSource:
    """Channels of a file, drawn with replacement."""

    channel: Tensor

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return self.channel[torch.randint(len(self.channel), (count,), generator=generator)]


@dataclass(frozen=True)
class HeldOutChannels:
    """Channels complex64 [N, K, R, T] that no training step has drawn; rays where the source knows them."""

    name: str
    channel: Tensor
    rays: Rays | None


def open_source(data: str, data_root: Path, model: ChannelModel) -> Source:
    """Open the training part of `generated` or `mat:PATH`, a file or folder, here or below the data root.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unknown source, or a file that holds no channels.
    """
    if data == GENERATED:
        return GeneratedSource(model)
    training, _ = _split_file(data, data_root, model)
    return FileSource(training)


def load_held_out(data: str, data_root: Path, model: ChannelModel, count: int) -> HeldOutChannels:
    """Load at most `count` held-out channels; raises as `open_source` does."""
    if data == GENERATED:
        rays = sample_rays(model, count, generator_for(_TEST_SEED, _CHANNELS))
        name = f"{count} generated channels, {model.num_clusters} clusters, spread {model.spread_deg:g}°"
        return HeldOutChannels(name, combine_rays(model, rays), rays)
    _, held_out = _split_file(data, data_root, model)
    held_out = held_out[:count]
    return HeldOutChannels(f"the last {len(held_out)} channels of {data.partition(':')[2]}", held_out, None)


def observe(channel: Tensor, csi_snr_db: float) -> Tensor:
    """Add the noise that every evaluation at this CSI SNR adds; infinity adds none."""
    if math.isinf(csi_snr_db):
        return channel
    generator = generator_for(_TEST_SEED, _NOISE, round(10 * (csi_snr_db + 100)))
    return add_noise(channel, torch.full((len(channel),), csi_snr_db), generator)


def find_mat(data: str, data_root: Path) -> Path:
    """Resolve `mat:PATH`.

    Raises:
        ValueError: the source is neither `generated` nor `mat:PATH`.
        FileNotFoundError: there is nothing at the path.
    """
    kind, _, name = data.partition(":")
    if kind != "mat" or not name:
        raise ValueError(f"unknown data {data!r}; use generated, or mat:PATH with a .mat file or a folder of them")
    return find_path(name, data_root)


def _split_file(data: str, data_root: Path, model: ChannelModel) -> tuple[Tensor, Tensor]:
    """Training and held-out channels of a file, scaled to a mean power of 1 per entry; a single channel is both."""
    channel = torch.from_numpy(read_channels(find_mat(data, data_root), model).channel)
    channel = channel / channel.abs().square().mean().sqrt()
    if len(channel) == 1:
        return channel, channel
    num_held_out = max(1, round(_HELD_OUT_FRACTION * len(channel)))
    return channel[:-num_held_out], channel[-num_held_out:]
