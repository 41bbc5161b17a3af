import math

import pytest
import torch

from training.beamformer.baselines.denoising import to_subcarriers, to_taps
from training.beamformer.beamspace import Beamspace
from training.beamformer.channel import ChannelModel, add_noise, combine_rays, sample_channels, sample_rays, steer_array
from training.beamformer.data import load_held_out, observe
from training.beamformer.noise import estimate_noise_power

MODEL = ChannelModel()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_mean_channel_energy_is_the_product_of_the_antenna_counts():
    energy = sample_channels(MODEL, 300, seeded()).abs().square().sum((2, 3))
    assert energy.mean() == pytest.approx(36 * 144, rel=0.1)


def test_same_seed_gives_the_same_channels_and_another_seed_others():
    first, again, other = (sample_channels(MODEL, 2, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.1


def test_inverse_dft_over_subcarriers_separates_the_clusters():
    rays = sample_rays(MODEL, 2, seeded())
    taps = to_taps(combine_rays(MODEL, rays))
    # A unitary transform gives √K times the cluster; γ = √(Nt·Nr / rays).
    scale = math.sqrt(5 * 36 * 144 / 50)
    clusters = scale * (rays.receive * rays.gains[:, :, None]) @ rays.transmit.mH
    torch.testing.assert_close(taps, clusters, rtol=1e-4, atol=1e-4)


def test_most_energy_of_a_cluster_is_in_few_dimensions():
    values = torch.linalg.svdvals(to_taps(sample_channels(MODEL, 60, seeded()))).square()
    share = (values.cumsum(-1) / values.sum(-1, keepdim=True)).mean((0, 1))
    assert share[:4].tolist() == pytest.approx([0.78, 0.95, 0.989, 0.998], abs=0.03)


def test_array_response_is_the_paper_formula():
    azimuth, elevation = 0.7, 1.9
    response = steer_array(torch.tensor(azimuth), torch.tensor(elevation), (6, 6))
    row, column = 2, 5
    phase = math.pi * (row * math.sin(azimuth) * math.sin(elevation) + column * math.cos(elevation))
    expected = complex(math.cos(phase), math.sin(phase)) / 6
    assert complex(response[6 * row + column]) == pytest.approx(expected, abs=1e-5)
    assert float(torch.linalg.vector_norm(response)) == pytest.approx(1, abs=1e-5)


def test_noise_has_the_variance_of_the_csi_snr():
    noise = add_noise(torch.zeros(2, 5, 36, 144, dtype=torch.complex64), torch.tensor([0.0, -10.0]), seeded())
    assert noise.abs().square().mean((1, 2, 3)).tolist() == pytest.approx([1, 10], rel=0.03)


def test_held_out_channels_and_their_noise_are_always_the_same():
    first, again = (load_held_out("generated", None, MODEL, 2).channel for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(observe(first, -5.0), observe(again, -5.0))
    assert torch.equal(observe(first, math.inf), first)


def test_beamspace_is_unitary_and_comes_back():
    beamspace = Beamspace(5, (6, 6), (12, 12))
    channel = sample_channels(MODEL, 2, seeded())
    taps = beamspace.analyze(torch.view_as_real(channel))
    energy = channel.abs().square().sum((1, 2, 3))
    torch.testing.assert_close(taps.square().view(2, -1).sum(1), energy, rtol=1e-4, atol=0)
    cells = beamspace.to_subcarriers(taps)
    torch.testing.assert_close(cells.square().view(2, -1).sum(1), energy, rtol=1e-4, atol=0)
    values = torch.linalg.svdvals(torch.complex(cells[:, 0], cells[:, 1]))
    torch.testing.assert_close(values, torch.linalg.svdvals(channel).flatten(0, 1), rtol=1e-3, atol=1e-2)


def test_taps_come_back_as_subcarriers():
    channel = sample_channels(MODEL, 1, seeded())
    torch.testing.assert_close(to_subcarriers(to_taps(channel)), channel)


@pytest.mark.parametrize("csi_snr_db", [0.0, -10.0, -15.0])
def test_noise_level_is_found_in_the_channel_itself(csi_snr_db):
    channel = sample_channels(MODEL, 8, seeded())
    observed = add_noise(channel, torch.full((8,), csi_snr_db), seeded(1))
    taps = Beamspace(5, (6, 6), (12, 12)).analyze(torch.view_as_real(observed))
    found_db = 10 * torch.log10(estimate_noise_power(taps, 5))
    assert (found_db + csi_snr_db).abs().max() < 0.7


@pytest.mark.parametrize("changes", [{"num_clusters": 0}, {"transmit_shape": (0, 12)}, {"spread_deg": 0.0}])
def test_rejects_impossible_geometry(changes):
    with pytest.raises(ValueError, match="must be"):
        ChannelModel(**changes)
