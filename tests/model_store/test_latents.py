"""From seeds to latents."""

from __future__ import annotations

import numpy as np
import pytest

from model_store.latents import draw_classes, draw_latents, interpolate_spherically

FIRST_OF_SEED_1 = [1.0916891, 0.4558267, 0.7017897]


def test_a_seed_is_always_the_same_latent_and_every_seed_another():
    drawn = draw_latents(range(200), 100)
    np.testing.assert_array_equal(draw_latents([7], 100)[0], drawn[7])
    assert drawn.dtype == np.float32
    assert len({row.tobytes() for row in drawn}) == 200
    assert abs(drawn.mean()) < 0.03
    assert abs(drawn.std() - 1) < 0.03


def test_latents_stay_what_they_were():
    np.testing.assert_allclose(draw_latents([1], 3)[0], FIRST_OF_SEED_1, rtol=1e-6)


def test_negative_seeds_are_seeds_too():
    assert draw_latents([-1], 4).shape == (1, 4)
    assert not np.array_equal(*draw_latents([-1, 1], 4))


def test_truncation_bounds_every_value_and_keeps_the_typical_ones():
    free, bounded = draw_latents([3], 500), draw_latents([3], 500, 0.5)
    assert np.abs(bounded).max() <= 0.5
    inside = np.abs(free) <= 0.5
    np.testing.assert_array_equal(free[inside], bounded[inside])


@pytest.mark.parametrize("truncation", [0.0, -1.0, 0.05, float("nan")])
def test_too_small_a_truncation_is_refused(truncation):
    with pytest.raises(ValueError, match="truncation must be at least"):
        draw_latents([0], 4, truncation)


def test_classes_are_drawn_evenly_and_reproducibly():
    drawn = draw_classes(range(2000), 10)
    np.testing.assert_array_equal(draw_classes([7], 10), drawn[7:8])
    assert np.bincount(drawn, minlength=10).min() > 150


def test_an_interpolation_begins_and_ends_at_its_latents_and_keeps_their_length():
    first, second = draw_latents([1, 2], 100)
    walk = interpolate_spherically(first, second, 8)
    assert walk.shape == (8, 100)
    np.testing.assert_allclose(walk[0], first, atol=1e-6)
    np.testing.assert_allclose(walk[-1], second, atol=1e-6)
    lengths = np.linalg.norm(walk, axis=1)
    assert lengths.min() > 0.9 * min(np.linalg.norm(first), np.linalg.norm(second))


def test_between_equal_latents_nothing_moves():
    walk = interpolate_spherically(*draw_latents([1, 1], 5), 3)
    np.testing.assert_allclose(walk, np.tile(draw_latents([1], 5), (3, 1)))


def test_an_interpolation_of_one_step_is_refused():
    with pytest.raises(ValueError, match="at least 2 steps"):
        interpolate_spherically(np.ones(3), np.zeros(3), 1)
