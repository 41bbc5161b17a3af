"""Gradients that single rows hardly change, and the account of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from training.engine.optimization import Updater
from training.engine.privacy import PrivacyTerms, PrivateGradients
from training.engine.schedules import make_schedule

TERMS = PrivacyTerms(epsilon=4.0, delta=1e-3, clip_norm=1.5)
STEPS = 20


def make_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))


def make_private(network, **changes) -> PrivateGradients:
    given = {"num_rows": 200, "batch_size": 50, "num_steps": STEPS} | changes
    return PrivateGradients(network, given.pop("terms", TERMS), **given)


@pytest.fixture(scope="module")
def private():
    return make_private(make_network())


def test_noise_is_the_least_that_keeps_the_terms(private):
    history = [(private.noise_multiplier, 0.25, STEPS)]
    private.load_state_dict({"secret": 1, "history": history})
    assert 0.97 * TERMS.epsilon < private.describe()["epsilon"] <= TERMS.epsilon
    private.load_state_dict({"secret": 1, "history": []})
    assert private.describe()["epsilon"] == 0


def test_rows_are_drawn_each_by_itself_and_differ_by_step_and_secret(private):
    counts = torch.tensor([len(private.draw_rows(step)) for step in range(400)]).double()
    assert counts.mean() == pytest.approx(50, abs=1)
    assert counts.var() == pytest.approx(200 * 0.25 * 0.75, rel=0.25)  # of shuffled batches it would be 0
    first = private.draw_rows(0)
    assert torch.equal(private.draw_rows(0), first)
    private.secret += 1
    assert not torch.equal(private.draw_rows(0), first)


def test_gradients_are_the_mean_of_clipped_ones_and_the_noise_of_the_step():
    network = make_network()
    private = make_private(network)
    private.noise_multiplier, parameters = 0.0, list(network.parameters())
    private._optimizer.noise_multiplier = 0.0
    x, y = torch.randn(7, 1, 4, 4) * torch.arange(7).view(7, 1, 1, 1), torch.arange(7) % 3
    expected = [torch.zeros_like(parameter) for parameter in parameters]
    alone, norms = make_network(), []
    for row, label in zip(x.split(1), y.split(1), strict=True):
        gradients = torch.autograd.grad(F.cross_entropy(alone(row), label), alone.parameters())
        norms.append(float(torch.cat([gradient.flatten() for gradient in gradients]).norm()))
        for total, gradient in zip(expected, gradients, strict=True):
            total += gradient * min(1.0, TERMS.clip_norm / norms[-1]) / 50
    assert min(norms) < TERMS.clip_norm < max(norms)

    updater = Updater(
        [torch.optim.SGD(parameters, lr=0.0)],
        make_schedule("constant", num_steps=1, warmup_fraction=0.0),
        clip_norm=TERMS.clip_norm,
        privacy=private,
    )
    updater.update(F.cross_entropy(network(x), y), 0)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-4)

    private._optimizer.noise_multiplier = 3.0
    noise = []
    for step in (0, 0, 1):
        updater.update(F.cross_entropy(network(x), y), step)
        noise.append(torch.cat([(p.grad - g).flatten() for p, g in zip(parameters, expected, strict=True)]))
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[0], noise[2])
    deviation = 3.0 * TERMS.clip_norm / 50
    assert float(torch.stack(noise[1:]).std()) == pytest.approx(deviation, rel=0.25)
    assert updater.state_dict()["privacy"]["history"] == [(0.0, 0.25, 4)]


def test_an_account_goes_on_but_not_with_other_noise(private):
    private.load_state_dict({"secret": 5, "history": [(private.noise_multiplier, 0.25, 3)]})
    assert private.describe()["steps"] == 3
    with pytest.raises(ValueError, match=r"3 steps were taken with noise .* neither made longer nor changed"):
        make_private(make_network(), num_steps=4 * STEPS).load_state_dict(private.state_dict())


@pytest.mark.parametrize(
    ("network", "changes", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), {}, "1 normalizes over a batch"),
        (
            make_network(),
            {"num_rows": 1001},
            r"delta=0.001 allows one of 1001 rows to be given away; set it below 0.001",
        ),
    ],
)
def test_what_cannot_be_private_is_refused(network, changes, message):
    with pytest.raises(ValueError, match=message):
        make_private(network, **changes)
