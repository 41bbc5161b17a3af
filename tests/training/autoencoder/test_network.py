from dataclasses import replace

import torch

from training.autoencoder.network import Autoencoder

SHAPE = (16, 16, 1)


def build(recipe):
    torch.manual_seed(0)
    return Autoencoder(recipe, SHAPE)


def test_images_come_back_by_way_of_a_code(tiny_recipe):
    drawn, code = build(tiny_recipe).eval()(torch.zeros(3, 1, 16, 16))
    assert (drawn.shape, code.shape) == ((3, 1, 16, 16), (3, 6))


def test_a_variational_code_has_variances_and_is_served_as_its_mean(tiny_recipe):
    network = build(replace(tiny_recipe, beta=1.0)).eval()
    images = torch.randn(3, 1, 16, 16)
    mean, log_variance = network.encode(images)
    assert mean.shape == log_variance.shape == (3, 6)
    assert torch.equal(network(images)[1], mean)


def test_a_sparse_code_cannot_be_made_small_to_lower_its_norm(tiny_recipe):
    network = build(replace(tiny_recipe, sparsity_weight=1.0)).train()
    images = torch.randn(64, 1, 16, 16)
    code, _ = network.encode(images)
    with torch.no_grad():
        network.encoder.head.weight *= 0.1
        network.encoder.head.bias *= 0.1
    smaller, _ = network.encode(images)
    assert code.min() == 0
    assert 0.3 < float((code > 0).float().mean()) < 0.7
    torch.testing.assert_close(smaller.mean(), code.mean(), rtol=0.1, atol=0)
