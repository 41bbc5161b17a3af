"""How much a discriminator knows about classes that nobody told it: a linear classifier on its features.

Dimensions: N images, F features, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.gan.dcgan import Discriminator
from training.images.pixels import scale_images
from training.images.splits import Split

_GRID = 2
_RIDGE = 1e-3  # relative to the mean variance of a feature


def probe_features(discriminator: Discriminator, train: Split, test: Split, device: torch.device) -> float:
    """Fit a ridge classifier on features of `train`, and return its accuracy on `test`.

    Source: Radford et al. 2016, section 5.1: maps of all layers, maximum-pooled to a coarse grid, flattened, classified
    linearly; here to 2×2 instead of 4×4 and by least squares, which has a closed form.
    """
    features, mean, deviation = _standardize(pool_features(discriminator, train.images, device))
    num_classes = int(train.labels.max()) + 1
    target = F.one_hot(train.labels, num_classes).double()
    gram = features.T @ features
    gram.diagonal().add_(_RIDGE * len(features))
    weights = torch.linalg.solve(gram, features.T @ (target - target.mean(0)))
    found = (pool_features(discriminator, test.images, device).double() - mean) / deviation @ weights + target.mean(0)
    return float((found.argmax(1) == test.labels).double().mean())


@torch.no_grad()
def pool_features(discriminator: Discriminator, images_NHWC: Tensor, device: torch.device) -> Tensor:
    """Describe images uint8 [N, H, W, C] by what all layers see, float32 [N, F] on the CPU."""
    discriminator.eval()
    rows = []
    for piece in images_NHWC.split(500):
        maps = discriminator.features(scale_images(piece.to(device)))
        rows.append(torch.cat([F.adaptive_max_pool2d(x.float(), _GRID).flatten(1) for x in maps], 1).cpu())
    return torch.cat(rows)


def _standardize(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rows = features.double()
    mean, deviation = rows.mean(0), rows.std(0).clamp_min(1e-6)
    return (rows - mean) / deviation, mean, deviation
