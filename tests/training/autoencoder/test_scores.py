import numpy as np
import pytest
import torch

from training.autoencoder.baselines import PrincipalComponents
from training.autoencoder.scores import (
    area_under_curve,
    explained_share,
    find_threshold,
    measure_sparsity,
    root_mean_square,
    score_images,
)


def test_the_explained_share_is_held_against_the_mean_image():
    truth = np.array([0, 100], np.uint8).reshape(2, 1, 1, 1)
    mean = np.full((1, 1, 1), 50.0)
    scores = score_images(np.array([10, 90], np.uint8).reshape(2, 1, 1, 1), truth, mean)
    assert scores.tolist() == [[100, 2500], [100, 2500]]
    assert explained_share(scores) == pytest.approx(0.96)
    assert root_mean_square(scores) == 10


def test_the_threshold_is_the_conformal_quantile():
    deviations = np.arange(1, 100.0)
    assert find_threshold(deviations, 0.9) == 90
    assert find_threshold(deviations, 0.99) == 99
    assert find_threshold(deviations, 0.999) == 99  # of too few the greatest


def test_the_area_counts_pairs_in_which_the_unusual_row_has_the_greater_number():
    rows = np.array([[1, 0], [2, 0], [2, 1], [3, 1]], float)
    assert area_under_curve(rows) == pytest.approx((1.5 + 2) / 4)


def test_sparsity_goes_from_codes_of_equal_values_to_those_of_one():
    assert measure_sparsity(np.array([[2.0, -2, 2, -2]])) == pytest.approx(0)
    assert measure_sparsity(np.array([[0.0, 0, -3, 0]])) == pytest.approx(1)
    assert measure_sparsity(np.array([[3.0, 4, 0, 0], [0, 0, 0, 0]])) == pytest.approx((2 - 7 / 5) / 2)
    assert np.isfinite(measure_sparsity(np.zeros((3, 4))))


def test_principal_components_lose_nothing_of_images_that_lie_in_their_plane():
    random = torch.Generator().manual_seed(0)
    coordinates, patterns = torch.rand(200, 2, generator=random), torch.rand(2, 16, generator=random)
    images = (127 * coordinates @ patterns).round().to(torch.uint8).view(200, 4, 4, 1)
    components = PrincipalComponents(images, 2)
    codes = components.encode(images)
    assert codes.shape == (200, 2)
    assert np.abs(components.decode(codes).astype(int) - images.numpy()).max() <= 1
    assert codes[:, 0].var() > codes[:, 1].var()
