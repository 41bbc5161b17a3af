"""From a seed to a latent vector: part of the contract of generating models, so workers and clients share it."""

from __future__ import annotations

import numpy as np

MIN_TRUNCATION = 0.1


def draw_latent(seed: int, size: int, truncation: float | None = None) -> np.ndarray:
    """Draw a latent vector float32 [size] from N(0, 1), a function of the seed alone.

    Philox is counter-based: every seed is a stream of its own. With `truncation` t, values beyond ±t are drawn again
    (Brock et al. 2019, https://arxiv.org/abs/1809.11096, section 3.1): less variety, more typical images.

    Raises:
        ValueError: `truncation` is below `MIN_TRUNCATION`.
    """
    if truncation is not None and not truncation >= MIN_TRUNCATION:
        raise ValueError(f"truncation must be at least {MIN_TRUNCATION}, got {truncation}")
    random = np.random.Generator(np.random.Philox(key=seed & (2**64 - 1)))
    latent = random.standard_normal(size, np.float32)
    if truncation is not None:
        while (outside := np.abs(latent) > truncation).any():
            latent[outside] = random.standard_normal(int(outside.sum()), np.float32)
    return latent


def draw_class(seed: int, num_classes: int) -> int:
    """Draw the class of an image for which nobody named one, a function of the seed alone."""
    key = np.array([seed & (2**64 - 1), 1], np.uint64)
    return int(np.random.Generator(np.random.Philox(key=key)).integers(num_classes))


def interpolate_spherically(first: np.ndarray, second: np.ndarray, num_steps: int) -> np.ndarray:
    """Walk from one latent to another along the sphere, float32 [num_steps, size], both ends included.

    Latents of N(0, 1) lie near a sphere; the straight line would cut through its empty inside.
    Source: White 2016, Sampling Generative Networks, https://arxiv.org/abs/1609.04468, section 2.1.

    Raises:
        ValueError: fewer than two steps.
    """
    if num_steps < 2:
        raise ValueError(f"an interpolation has at least 2 steps, its ends, got {num_steps}")
    cosine = float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
    angle = np.arccos(np.clip(cosine, -1, 1))
    shares = np.linspace(0, 1, num_steps)[:, None]
    if np.sin(angle) < 1e-6:
        return ((1 - shares) * first + shares * second).astype(np.float32)
    walk = (np.sin((1 - shares) * angle) * first + np.sin(shares * angle) * second) / np.sin(angle)
    return walk.astype(np.float32)
