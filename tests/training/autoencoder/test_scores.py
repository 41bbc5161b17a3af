import numpy as np
import pytest
import torch

from training.autoencoder.baselines import PrincipalComponents
from training.autoencoder.scores import (
    explained_share,
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
