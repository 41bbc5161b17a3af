"""How much a discriminator knows about classes that nobody told it: a linear classifier on its features.

Dimensions: N images, F features, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.images.dcgan import Discriminator
from training.images.linear_probe import probe_linearly
from training.images.pixels import scale_images
from training.images.splits import Split

_GRID = 2


def probe_features(discriminator: Discriminator, train: Split, test: Split, device: torch.device) -> float:
    """Fit a linear classifier on features of `train`, and return its accuracy on `test`.

    Source: Radford et al. 2016, section 5.1: maps of all layers, maximum-pooled to a coarse grid, flattened, classified
    linearly; here to 2×2 instead of 4×4.
    """
    features = [pool_features(discriminator, split.images, device) for split in (train, test)]
    found = probe_linearly(features[0], train.labels, features[1])
    return float((found == test.labels).double().mean())


@torch.no_grad()
def pool_features(discriminator: Discriminator, images_NHWC: Tensor, device: torch.device) -> Tensor:
    """Describe images uint8 [N, H, W, C] by what all layers see, float32 [N, F] on the CPU."""
    discriminator.eval()
    rows = []
    for piece in images_NHWC.split(500):
        maps = discriminator.features(scale_images(piece.to(device)))
        rows.append(torch.cat([F.adaptive_max_pool2d(x.float(), _GRID).flatten(1) for x in maps], 1).cpu())
    return torch.cat(rows)
