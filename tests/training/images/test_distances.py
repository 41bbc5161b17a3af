"""Distances between feature sets, against closed forms and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.images.assessment import measure_inception_score
from training.images.coverage import measure_coverage
from training.images.distances import FrechetReference, Projection, bootstrap_difference
from training.images.kernel_distance import measure_kernel_distance


def draw(count, size, seed, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, scale, (count, size))


class Given(torch.nn.Module):
    """Stands where torchmetrics expects a network, when features are what it is given."""

    num_features = 8

    def forward(self, features):
        return features


def test_the_distance_of_shifted_and_scaled_normals_is_the_closed_form():
    real, other = draw(40_000, 4, 0), draw(40_000, 4, 1, scale=2.0, shift=3.0)
    assert FrechetReference(real).distance(other) == pytest.approx(4 * (3.0**2 + (2.0 - 1.0) ** 2), rel=0.02)


def test_a_set_has_no_distance_to_itself():
    real = draw(500, 8, 0)
    assert FrechetReference(real).distance(real) == pytest.approx(0, abs=1e-8)


def test_the_distance_is_that_of_torchmetrics():
    fid = pytest.importorskip("torchmetrics.image.fid")
    real, other = draw(600, 8, 0), draw(500, 8, 1, scale=1.5, shift=0.5)
    metric = fid.FrechetInceptionDistance(feature=Given()).set_dtype(torch.float64)
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(other), real=False)
    assert FrechetReference(real).distance(other) == pytest.approx(float(metric.compute()), rel=1e-5)


def test_the_kernel_distance_is_that_of_torchmetrics():
    kid = pytest.importorskip("torchmetrics.image.kid")
    real, other = (
        torch.from_numpy(draw(count, 8, count, scale=0.001 * count).astype(np.float32)) for count in (600, 550)
    )
    metric = kid.KernelInceptionDistance(Given(), subsets=50, subset_size=500)
    metric.update(real, real=True)
    metric.update(other, real=False)
    torch.manual_seed(0)
    expected = float(metric.compute()[0])
    torch.manual_seed(0)
    assert measure_kernel_distance(other.numpy(), real.numpy()) == pytest.approx(expected, rel=1e-3)


def test_the_inception_score_is_that_of_torchmetrics():
    inception = pytest.importorskip("torchmetrics.image.inception")
    rows = torch.from_numpy(draw(203, 8, 0, scale=3.0)).softmax(1).float()
    metric = inception.InceptionScore(Given(), splits=5)
    metric.update(rows.log())
    torch.manual_seed(0)
    expected = float(metric.compute()[0])
    torch.manual_seed(0)
    assert measure_inception_score(rows.numpy()) == pytest.approx(expected, rel=1e-5)
    assert measure_inception_score(np.eye(8, dtype=np.float32).repeat(50, 0)) == pytest.approx(8, rel=0.1)


def test_a_projection_keeps_the_directions_that_vary_most():
    rows = draw(2000, 6, 0) * np.array([9, 1, 0.1, 5, 0.1, 0.1])
    projected = Projection(rows, 2)(rows)
    np.testing.assert_allclose(projected.std(0), [9, 5], rtol=0.06)


def test_a_better_generator_is_told_from_a_worse_one():
    real, good, bad = draw(800, 4, 0), draw(800, 4, 1), draw(800, 4, 2, shift=0.6)
    difference, (low, high) = bootstrap_difference(good, bad, real, repeats=100, seed=0)
    assert 0 < low < difference < high
    _, (low, high) = bootstrap_difference(good, draw(800, 4, 3), real, repeats=100, seed=0)
    assert low < 0 < high


def test_coverage_of_equal_far_and_collapsed_sets():
    real = torch.from_numpy(draw(400, 3, 0)).float()
    same = measure_coverage(real, torch.from_numpy(draw(400, 3, 1)).float())
    assert same.precision > 0.9
    assert same.recall > 0.9
    assert same.coverage > 0.9
    assert same.density == pytest.approx(1, abs=0.15)
    far = measure_coverage(real, real + 100)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)
    collapsed = measure_coverage(real, 0.01 * real)
    assert collapsed.precision > 0.9
    assert collapsed.recall < 0.1
    assert collapsed.coverage < 0.2


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="5 neighbours need more rows"):
        measure_coverage(torch.zeros(5, 2), torch.zeros(9, 2))
