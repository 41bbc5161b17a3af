"""Masks and labels without a network: nothing but background, and whatever a threshold cuts out.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from training.engine.seeds import generator_for
from training.segmenter.data import SceneData
from training.segmenter.scenes import label_masks

_SEED, _NUM_SEEN = 20_150_520, 1000
_LEVELS = 256


def find_common_classes(data: SceneData) -> tuple[int, int]:
    """The class of most pixels beside the background, and the most frequent class of images, in training scenes."""
    masks = data.source.sample(_NUM_SEEN, generator_for(_SEED)).masks
    pixels = np.bincount(masks.flatten().numpy(), minlength=len(data.classes))[1 : len(data.classes)]
    labels = np.bincount(label_masks(masks, len(data.classes)).numpy())
    return 1 + int(pixels.argmax()), int(labels.argmax())


def cut_by_threshold(images_NHWC: Tensor, number: int) -> np.ndarray:
    """Masks uint8 [N, H, W] that give class `number` to the smaller side of each image's own grey threshold."""
    grey = images_NHWC.numpy().mean(3).round().astype(np.uint8)
    above = grey > np.array([find_threshold(image) for image in grey])[:, None, None]
    is_bright_rare = above.mean((1, 2), keepdims=True) <= 0.5
    return np.where(above == is_bright_rare, number, 0).astype(np.uint8)


def find_threshold(grey: np.ndarray) -> int:
    """The level of an image uint8 [H, W] that splits its pixels into two groups as far apart as can be.

    Source: Otsu 1979, A threshold selection method from gray-level histograms, eq. 18.
    """
    shares = np.bincount(grey.ravel(), minlength=_LEVELS) / grey.size
    below, moment = shares.cumsum(), (shares * np.arange(_LEVELS)).cumsum()
    spread = below * (1 - below)
    between = np.divide(np.square(moment[-1] * below - moment), spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return int(between.argmax())
