"""What masks are worth: counts of pixels per image and class, and IoU and Dice over any number of images.

Dimensions: N images, K classes, H height, W width. Counts are int64 [N, K, 3]: pixels of a class in both masks, in the
predicted one, in the true one.
"""

from __future__ import annotations

import numpy as np

from training.segmenter.scenes import VOID

_BOTH, _PREDICTED, _TRUE = range(3)


def count_pixels(predicted: np.ndarray, truth: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pixels [N, K, 3] of masks [N, H, W]; those that are VOID in truth are left out."""
    counted = truth != VOID
    counts = np.empty((len(truth), num_classes, 3), np.int64)
    for number in range(num_classes):
        found, there = (predicted == number) & counted, truth == number
        for place, pixels in enumerate((found & there, found, there)):
            counts[:, number, place] = pixels.sum((1, 2))
    return counts


def iou_by_class(counts: np.ndarray) -> np.ndarray:
    """Intersection over union [K] of counts [N, K, 3], over all images together; NaN for a class nobody sees."""
    sums = counts.sum(0).astype(np.float64)
    return _divide(sums[:, _BOTH], sums[:, _PREDICTED] + sums[:, _TRUE] - sums[:, _BOTH])


def dice_by_class(counts: np.ndarray) -> np.ndarray:
    """Dice coefficient [K] of counts [N, K, 3], over all images together; NaN for a class nobody sees."""
    sums = counts.sum(0).astype(np.float64)
    return _divide(2 * sums[:, _BOTH], sums[:, _PREDICTED] + sums[:, _TRUE])


def mean_iou(counts: np.ndarray) -> float:
    """IoU averaged over the classes that are seen, the background among them."""
    return float(np.nanmean(iou_by_class(counts)))


def mean_dice(counts: np.ndarray) -> float:
    """Dice coefficient averaged over the classes that are seen, the background among them."""
    return float(np.nanmean(dice_by_class(counts)))


def foreground_iou(counts: np.ndarray) -> float:
    """Counts [N, K, 3] → IoU of whatever is not background, whichever class it is.

    The pixels of both foregrounds are those left when the background of either is taken away.
    """
    sums = counts.sum(0).astype(np.float64)
    either = sums[1:, _PREDICTED].sum() + sums[1:, _TRUE].sum()
    total = sums[:, _TRUE].sum()
    union = total - sums[0, _BOTH]
    return float((either - union) / union) if union else 1.0


def _divide(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return np.divide(upper, lower, out=np.full_like(upper, np.nan), where=lower > 0)
