"""The steps from noise to an image, where the best estimate is known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from model_store.denoising import denoise, log_snr_at, plan_steps

DEVIATION = 0.5


def estimate_normal(x, log_snr):
    """The mean of images of N(0, 0.25) that look like `x` under noise; the exact way takes noise z to z / 2."""
    alpha2 = 1 / (1 + math.exp(-log_snr))
    return DEVIATION**2 * math.sqrt(alpha2) / (DEVIATION**2 * alpha2 + 1 - alpha2) * x


def error_of(sampler, num_steps, schedule="cosine"):
    noise = np.linspace(-2, 2, 9)
    images = denoise(estimate_normal, noise, plan_steps(schedule, num_steps), sampler)
    return float(np.abs(images - DEVIATION * noise).max())


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_noise_falls_over_the_steps_from_nothing_but_noise(schedule):
    log_snrs = plan_steps(schedule, 20)
    assert len(log_snrs) == 20
    assert log_snrs[0] == pytest.approx(-10, abs=0.1)
    assert all(after > before for before, after in pairwise(log_snrs))


def test_the_schedules_are_those_of_the_papers():
    assert float(log_snr_at("cosine", np.array(0.5))) == pytest.approx(0)
    # a thousand betas from 1e-4 to 0.02, as in the paper
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[499]
    assert float(log_snr_at("linear", np.array(0.5))) == pytest.approx(math.log(kept / (1 - kept)), abs=0.02)


def test_both_samplers_follow_the_exact_way_and_the_second_order_needs_fewer_steps():
    assert error_of("ddim", 400) < 0.01
    assert error_of("dpm-solver++", 50) < 0.01
    assert error_of("dpm-solver++", 15) < error_of("ddim", 15) / 2


def test_one_step_is_the_estimate_itself():
    noise = np.array([1.0, -2.0])
    for sampler in ("ddim", "dpm-solver++"):
        images = denoise(lambda x, log_snr: 3 * x, noise, plan_steps("cosine", 1), sampler)
        np.testing.assert_array_equal(images, [3, -6])
    with pytest.raises(ValueError, match="at least one step, got 0"):
        plan_steps("cosine", 0)


def test_float32_stays_float32():
    images = denoise(estimate_normal, np.ones(3, np.float32), plan_steps("linear", 4), "dpm-solver++")
    assert images.dtype == np.float32
