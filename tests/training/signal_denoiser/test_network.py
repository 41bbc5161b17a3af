import torch

from training.signal_denoiser.network import SignalDenoiser


def test_gain_and_offset_of_a_signal_do_not_matter(tiny_recipe):
    torch.manual_seed(0)
    network = SignalDenoiser(tiny_recipe, 250).eval()
    signals = torch.randn(3, 250)
    with torch.no_grad():
        found, louder = network(signals), network(1000 * signals + 50)
    assert found.shape == (3, 250)
    torch.testing.assert_close(louder / 1000, found, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.mean(1), torch.zeros(3), atol=1e-6, rtol=0)


def test_a_signal_without_disturbances_that_are_found_comes_back_as_it_was(tiny_recipe):
    network = SignalDenoiser(tiny_recipe, 250).eval()
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    signals = torch.randn(2, 250) + 3
    with torch.no_grad():
        torch.testing.assert_close(network(signals), signals - signals.mean(1, keepdim=True))
