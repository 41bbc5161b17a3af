import pytest
import torch

from training.csi_feedback.environment import INDOOR, OUTDOOR, Environment, draw_channels, normalize_power

ONE_RAY = Environment(
    num_clusters=1,
    rays_per_cluster=1,
    cluster_delay_taps=1.0,
    ray_delay_taps=1e-6,
    spread_deg=1.0,
    shadowing_db=0.0,
)


def draw(environment, count=300, seed=0):
    return draw_channels(environment, count, torch.Generator().manual_seed(seed), num_taps=32, num_antennas=32)


@pytest.mark.parametrize("environment", [INDOOR, OUTDOOR])
def test_every_channel_has_a_mean_power_of_one(environment):
    power = draw(environment).square().sum(3).mean((1, 2))
    torch.testing.assert_close(power, torch.ones(300))


def test_a_single_ray_that_arrives_on_a_tap_is_one_tap_and_few_angles():
    power = draw(ONE_RAY).square().sum(3)
    torch.testing.assert_close(power[:, 2].sum(1), torch.full((300,), 1024.0), rtol=1e-4, atol=1e-2)
    strongest = power[:, 2].topk(4).values.sum(1) / 1024
    assert strongest.min() > 0.8  # halfway between two angles of the DFT a ray has 81 % in the two


def test_delays_outdoors_are_longer_and_angles_fill_the_whole_range():
    indoor, outdoor = (draw(environment).square().sum(3) for environment in (INDOOR, OUTDOOR))
    taps = torch.arange(32)
    means = [float((power.mean((0, 2)) * taps).sum() / 32 - 2) for power in (indoor, outdoor)]
    assert 0.5 < means[0] < 2
    assert 3 < means[1] < 8
    by_angle = indoor.mean((0, 1))
    assert by_angle.min() > 0.3
    assert by_angle.max() < 6  # angles are uniform, so their sines gather at the line's two ends


def test_the_same_seed_gives_the_same_channels_and_another_seed_others():
    assert torch.equal(draw(INDOOR, 3, 1), draw(INDOOR, 3, 1))
    assert not torch.equal(draw(INDOOR, 3, 1), draw(INDOOR, 3, 2))


def test_channels_are_finite_where_the_least_number_is_drawn(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, **given: torch.zeros(shape))
    assert torch.isfinite(draw(INDOOR, 3)).all()


def test_scale_is_taken_out_and_zeros_stay():
    channels = torch.tensor([3.0, 4.0]).repeat(2, 2, 2, 1)
    channels[1] = 0
    found = normalize_power(channels)
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([0.6, 0.8]))
    assert not found[1].any()
