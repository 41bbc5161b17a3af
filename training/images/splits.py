"""Labelled images in memory, and how they are cut and resized.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

SPLIT_SEED = 20_240_517
_MIN_VALIDATION = 50
_PIECE = 4096  # images changed at a time, so that their float copy stays small


@dataclass(frozen=True)
class Split:
    """Images uint8 [N, H, W, C] and labels int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> Split:
        """Pick rows, in their order."""
        return Split(self.images[rows], self.labels[rows])


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set in three parts; no training step and no choice ever looks at `test`."""

    name: str
    labels: tuple[str, ...]
    train: Split
    validation: Split
    test: Split

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    def describe_parts(self) -> str:
        """Say where the images went."""
        parts = f"{len(self.train)} training, {len(self.validation)} validation, {len(self.test)} test images"
        return f"{self.name}: {parts} of {'×'.join(map(str, self.shape))}"

    def resized(self, resolution: int) -> ImageData:
        """Make every image a square of `resolution` pixels."""
        if self.shape[:2] == (resolution, resolution):
            return self
        return replace(
            self,
            train=resize(self.train, resolution),
            validation=resize(self.validation, resolution),
            test=resize(self.test, resolution),
        )


def cut(split: Split, num_second: int) -> tuple[Split, Split]:
    """Cut a split in two, at random but always in the same way; the second part has `num_second` rows."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(SPLIT_SEED + num_second))
    return split.take(order[num_second:]), split.take(order[:num_second])


def count_validation(num_images: int, fraction: float) -> int:
    """How many of the images that remain beside the test part validate: their share, but at least 50 of them where that
    is at most a fifth, because a handful can neither choose a temperature nor tell one state of a network from another.
    """
    return max(round(fraction * num_images), min(_MIN_VALIDATION, num_images // 5), 1)


def resize(split: Split, resolution: int) -> Split:
    """Resize to squares, bilinear with antialiasing."""
    pieces = []
    for images_NHWC in split.images.split(_PIECE):
        images_NCHW = images_NHWC.permute(0, 3, 1, 2).float()
        resized = F.interpolate(images_NCHW, (resolution, resolution), mode="bilinear", antialias=True)
        pieces.append(_to_bytes(resized))
    return Split(torch.cat(pieces), split.labels)


def pad_by_reflection(images_NHWC: Tensor, margin_px: int) -> Tensor:
    """Extend uint8 images on all sides by their mirror image."""
    if not margin_px:
        return images_NHWC
    margins = (margin_px,) * 4
    pieces = (piece.permute(0, 3, 1, 2).float() for piece in images_NHWC.split(_PIECE))
    return torch.cat([_to_bytes(F.pad(piece, margins, mode="reflect")) for piece in pieces])


def digest_of(split: Split) -> str:
    """Compute sha256 over images and labels, which names exactly what was learned from."""
    digest = hashlib.sha256()
    digest.update(f"{tuple(split.images.shape)}".encode())
    digest.update(split.images.contiguous().numpy().data)
    digest.update(split.labels.contiguous().numpy().data)
    return digest.hexdigest()


def _to_bytes(images_NCHW: Tensor) -> Tensor:
    return images_NCHW.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
