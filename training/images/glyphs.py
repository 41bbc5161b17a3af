"""Generated digits: the data set of machines that have nothing but numpy."""

from __future__ import annotations

import numpy as np

SIZE = 16
_ROWS = 7
# 5×7 dot-matrix digits, one number per row, five bits each, the leftmost dot in the highest bit.
_FONT = (
    (14, 17, 19, 21, 25, 17, 14),
    (4, 12, 4, 4, 4, 4, 14),
    (14, 17, 1, 2, 4, 8, 31),
    (31, 2, 4, 2, 1, 17, 14),
    (2, 6, 10, 18, 31, 2, 2),
    (31, 16, 30, 1, 1, 17, 14),
    (6, 8, 16, 30, 17, 17, 14),
    (31, 1, 2, 4, 8, 8, 8),
    (14, 17, 17, 14, 17, 17, 14),
    (14, 17, 17, 15, 1, 2, 12),
)


def draw_glyphs(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw dot-matrix digits with random place, slant, thickness, contrast, missing dots and noise.

    Returns images uint8 [count, 16, 16, 1] and labels int64 [count].
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(_FONT), count)
    images = np.stack([_draw_glyph(int(label), random) for label in labels])
    return images[..., None], labels.astype(np.int64)


def _draw_glyph(label: int, random: np.random.Generator) -> np.ndarray:
    dots = np.array([[row >> bit & 1 for bit in range(4, -1, -1)] for row in _FONT[label]], np.float32)
    dots *= random.random(dots.shape) > 0.1
    canvas = np.zeros((SIZE, SIZE), np.float32)
    top, left = random.integers(0, SIZE - 2 * _ROWS + 1), random.integers(1, SIZE - 13)
    slant = random.integers(-1, 2)
    for row in range(_ROWS):
        shift = left + round(slant * (3 - row) / 3)
        canvas[top + 2 * row : top + 2 * row + 2, shift : shift + 10] = dots[row].repeat(2)
    if random.random() < 0.5:
        canvas = np.maximum(canvas, np.roll(canvas, 1, axis=1))
    noisy = canvas * random.uniform(0.4, 1.0) + random.normal(0, 0.33, canvas.shape)
    return np.clip(noisy * 255, 0, 255).astype(np.uint8)
