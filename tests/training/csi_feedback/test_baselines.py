import torch

from training.csi_feedback.baselines import find_components, keep_common, keep_strongest, project


def test_components_are_orthonormal_and_find_the_plane_that_channels_lie_in(generator):
    directions = torch.randn(2, 12, dtype=torch.complex64, generator=generator)
    weights = torch.randn(200, 2, dtype=torch.complex64, generator=generator)
    channels = torch.view_as_real(weights @ directions).reshape(200, 3, 4, 2)
    components = find_components(channels, 4)
    assert components.shape == (4, 24)
    torch.testing.assert_close(components @ components.T, torch.eye(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(project(channels, components), channels, atol=1e-3, rtol=1e-3)


def test_components_keep_more_power_than_any_choice_of_entries(generator):
    mixing = torch.randn(12, 12, dtype=torch.complex64, generator=generator)
    entries = torch.randn(500, 12, dtype=torch.complex64, generator=generator) * torch.arange(1, 13)
    channels = torch.view_as_real(entries @ mixing).reshape(500, 3, 4, 2)
    by_components = (channels - project(channels, find_components(channels, 8))).square().sum()
    by_entries = (channels - keep_common(channels, channels, 8)).square().sum()
    assert by_components < 0.8 * by_entries


def test_a_projection_turns_with_the_channels_phase(generator):
    channels = torch.randn(20, 3, 4, 2, generator=generator)
    components = find_components(channels, 6)
    turned = torch.stack([-channels[..., 1], channels[..., 0]], -1)
    kept = project(channels, components)
    expected = torch.stack([-kept[..., 1], kept[..., 0]], -1)
    torch.testing.assert_close(project(turned, components), expected, atol=1e-5, rtol=1e-4)


def test_the_same_entries_are_kept_of_all_channels_or_each_ones_own():
    channels = torch.zeros(2, 2, 3, 2)
    channels[0, 0, 0, 0], channels[0, 1, 2, 1], channels[1, 1, 2, 0], channels[1, 0, 1, 1] = 5, 4, 3, 2
    common = keep_common(channels, channels, code_size=2)
    assert common.flatten(1).abs().sum(1).tolist() == [5, 0]
    strongest = keep_strongest(channels, code_size=3)
    assert strongest.flatten(1).abs().sum(1).tolist() == [5, 3]
