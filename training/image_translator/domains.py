"""Images of two styles: sources to translate, and targets that show what a translation looks like.

Dimensions: N sources, M targets, H height, W width, C channels of sources, D channels of targets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.images.splits import SPLIT_SEED


@dataclass(frozen=True, kw_only=True)
class Domains:
    """Sources uint8 [N, H, W, C], targets uint8 [M, H, W, D], and labels int64 [M] of the targets.

    Where they are paired, each source belongs to the target of its place, and N = M.
    """

    sources: Tensor
    targets: Tensor
    labels: Tensor
    paired: bool

    def take(self, rows: Tensor) -> Domains:
        """Pick pairs, in their order."""
        return replace(self, sources=self.sources[rows], targets=self.targets[rows], labels=self.labels[rows])

    def turned(self) -> Domains:
        """The other way round; labels stay with the pairs, and of images that are not paired nobody knows them."""
        labels = self.labels if self.paired else torch.zeros(len(self.sources), dtype=torch.int64)
        return replace(self, sources=self.targets, targets=self.sources, labels=labels)

    def parted(self) -> Domains:
        """Forget who belongs to whom: one half of the pairs gives its sources, the other one its targets."""
        order = torch.randperm(len(self.sources), generator=generator_for(SPLIT_SEED))
        first, second = order.tensor_split(2)
        return Domains(
            sources=self.sources[first], targets=self.targets[second], labels=self.labels[second], paired=False
        )

    def sample(self, count: int, generator: torch.Generator, *, flip: bool) -> tuple[Tensor, Tensor]:
        """Draw sources and targets with replacement; pairs stay together, and are mirrored together."""
        rows = torch.randint(len(self.sources), (count,), generator=generator)
        others = rows if self.paired else torch.randint(len(self.targets), (count,), generator=generator)
        sources, targets = self.sources[rows], self.targets[others]
        if flip:
            mirrored = (torch.rand(count, generator=generator) < 0.5)[:, None, None, None]
            sources, targets = (torch.where(mirrored, images.flip(2), images) for images in (sources, targets))
        return sources, targets


@dataclass(frozen=True, kw_only=True)
class TranslationData:
    """What a run trains on, and what it is measured with; no test image is ever trained on or chosen by.

    Validation and test images may be paired where training images are not. `labels` name the classes of the targets;
    empty: nobody knows them.
    """

    name: str
    labels: tuple[str, ...]
    train: Domains
    validation: Domains
    test: Domains

    @property
    def source_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every source."""
        height, width, channels = self.test.sources.shape[1:]
        return height, width, channels

    @property
    def target_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every target."""
        height, width, channels = self.test.targets.shape[1:]
        return height, width, channels
