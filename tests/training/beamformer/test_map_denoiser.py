"""The U-Net contender: what it masks of a channel, and what it can be."""

import math
from dataclasses import replace

import pytest
import torch

from training.beamformer.baselines.digital import beamform_svd
from training.beamformer.channel import ChannelModel, sample_channels
from training.beamformer.contenders import Observation, beamform_network
from training.beamformer.data import observe
from training.beamformer.map_denoiser import MapDenoiser
from training.beamformer.metrics import measure_spectral_efficiency
from training.beamformer.network import build_network
from training.beamformer.recipe import PRESETS

MODEL = ChannelModel()
CHANNEL = sample_channels(MODEL, 3, torch.Generator().manual_seed(5))


def test_a_unet_that_lets_everything_through_leaves_an_svd():
    network = build_network(PRESETS["unet"], MODEL).eval()
    torch.nn.init.zeros_(network.denoiser.leave.weight)
    torch.nn.init.constant_(network.denoiser.leave.bias, 30.0)
    observed = observe(CHANNEL, 0.0)
    found = measure_spectral_efficiency(CHANNEL, *beamform_network(network, Observation(observed, 0.0, None, MODEL)), 0)
    expected = measure_spectral_efficiency(CHANNEL, *beamform_svd(observed), 0)
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=0)


@pytest.mark.parametrize("normalization", ["batch", "layer", "group", "instance"])
def test_it_learns_where_there_is_nothing_but_noise(normalization):
    torch.manual_seed(0)
    denoiser = MapDenoiser(width=4, normalization=normalization)
    clean = torch.zeros(2, 2, 4, 4, 4)
    clean[:, :, 1, 2, 2] = 8
    noisy, level = clean + torch.randn_like(clean) / math.sqrt(2), torch.zeros(2)
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        (denoiser(noisy, level) - clean).square().mean().backward()
        optimizer.step()
    left = (denoiser(noisy, level) - clean).square().mean() / (noisy - clean).square().mean()
    assert left < 0.5


def test_complex_normalization_belongs_to_complex_maps():
    with pytest.raises(ValueError, match="set normalization to batch, layer, group or instance"):
        replace(PRESETS["unet"], normalization="complex")
