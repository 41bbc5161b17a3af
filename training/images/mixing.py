"""Training images mixed in pairs, so that a network learns what lies between two classes.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Mixture:
    """Images [N, H, W, C] of which `share` shows `labels` and the rest `partners`, both int64 [N]."""

    images: Tensor
    labels: Tensor
    partners: Tensor
    share: float

    def take(self, rows: slice) -> Mixture:
        """Pick rows, in their order."""
        return Mixture(self.images[rows], self.labels[rows], self.partners[rows], self.share)

    def cross_entropy(self, logits: Tensor, label_smoothing: float) -> Tensor:
        """Mean cross-entropy of logits [N, classes] to both labels, each by its share."""
        loss = F.cross_entropy(logits, self.labels, label_smoothing=label_smoothing)
        if self.share == 1:
            return loss
        other = F.cross_entropy(logits, self.partners, label_smoothing=label_smoothing)
        return self.share * loss + (1 - self.share) * other


def mix(
    images: Tensor, labels: Tensor, generator: torch.Generator, *, mixup_alpha: float, cutmix_alpha: float
) -> Mixture:
    """Mix each image with another one of its batch, all by the same share, which is drawn from Beta(α, α).

    Mixup blends whole images, CutMix replaces a rectangle; with both a coin decides for the batch, with neither the
    images stay as they are.
    Sources: Zhang et al. 2018, https://arxiv.org/abs/1710.09412; Yun et al. 2019, https://arxiv.org/abs/1905.04899.
    """
    if not mixup_alpha and not cutmix_alpha:
        return Mixture(images, labels, labels, 1.0)
    random = np.random.default_rng(generator.initial_seed())
    order = torch.from_numpy(random.permutation(len(images))).to(images.device)
    pastes = random.random() < 0.5 if mixup_alpha and cutmix_alpha else bool(cutmix_alpha)
    alpha = cutmix_alpha if pastes else mixup_alpha
    share = float(random.beta(alpha, alpha))
    if pastes:
        mixed, share = _paste(images, images[order], share, random)
    else:
        mixed = torch.lerp(images[order].float(), images.float(), share)
    return Mixture(mixed, labels, labels[order], share)


def _paste(images: Tensor, others: Tensor, share: float, random: np.random.Generator) -> tuple[Tensor, float]:
    """Put a rectangle of the other images into these, cut at the edges; return also the share that stays."""
    height, width = images.shape[1:3]
    half = (1 - share) ** 0.5 / 2
    centre_y, centre_x = random.integers(height), random.integers(width)
    top, bottom = (int(np.clip(round(centre_y + side * half * height), 0, height)) for side in (-1, 1))
    left, right = (int(np.clip(round(centre_x + side * half * width), 0, width)) for side in (-1, 1))
    mixed = images.clone()
    mixed[:, top:bottom, left:right] = others[:, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)
