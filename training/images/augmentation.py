"""Random changes to training images, drawn anew for each step from the step's own generator.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.images.splits import Split, pad_by_reflection

_MIN_STEPS_PER_EPOCH = 8
_MIN_BATCH_SIZE = 8


def fit_batch_size(batch_size: int, num_images: int) -> int:
    """Lower a batch size to what so few images allow: 8 steps in an epoch, but no fewer than 8 images in a step."""
    fitting = max(_MIN_BATCH_SIZE, num_images // _MIN_STEPS_PER_EPOCH)
    return max(1, min(batch_size, fitting, num_images))


def lower_batch_size(batch_size: int, num_images: int) -> int:
    """As `fit_batch_size`, and say so where it is lower."""
    fitting = fit_batch_size(batch_size, num_images)
    if fitting < batch_size:
        changes = f"batch_size={fitting} instead of {batch_size}"
        print(f"{num_images} training images are few for this recipe: {changes}", file=sys.stderr)
    return fitting


class TrainingBatches:
    """Batches as a function of the step: shuffled each epoch, shifted, mirrored and partly covered.

    `draw_rows` gives the rows of a step int64 [N]; set another where not each image is to come once an epoch.
    Mirroring alternates: each image is mirrored in every second epoch, half of them in the even ones, which shows more
    different views than tossing a coin. Source: Jordan 2024, https://arxiv.org/abs/2404.00498, section 3.6.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        shift_px: int = 0,
        flip: bool = False,
        cutout_px: int = 0,
    ) -> None:
        if len(split) < batch_size:
            raise ValueError(f"batch_size {batch_size} is larger than the training data of {len(split)} images")
        self.batch_size, self.seed, self.device = batch_size, seed, device
        self.shift_px, self.flip, self.cutout_px = shift_px, flip, cutout_px
        self.draw_rows: Callable[[int], Tensor] = self._draw_in_turn
        self.height, self.width = split.images.shape[1:3]
        self.labels = split.labels.to(device)
        self.fill = split.images.float().mean((0, 1, 2)).round().to(torch.uint8).to(device)
        self.padded = pad_by_reflection(split.images, shift_px).to(device)
        self.mirrored_first = torch.rand(len(split), generator=generator_for(seed, 0)) < 0.5
        self._epoch = -1
        self._order = torch.empty(0)

    @property
    def steps_per_epoch(self) -> int:
        return len(self.labels) // self.batch_size

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Make the batch of a step: images uint8 [N, H, W, C] and labels int64 [N]."""
        epoch = step // self.steps_per_epoch
        rows = self.draw_rows(step)
        generator = generator_for(self.seed, 2, step)
        images = self._shifted(rows, generator)
        if self.flip:
            mirror = (self.mirrored_first[rows] ^ bool(epoch % 2)).to(self.device)
            images = torch.where(mirror.view(-1, 1, 1, 1), images.flip(2), images)
        if self.cutout_px:
            images = self._covered(images, generator)
        return images, self.labels[rows.to(self.device)]

    def _draw_in_turn(self, step: int) -> Tensor:
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.randperm(len(self.labels), generator=generator_for(self.seed, 1, epoch))
        return self._order[index * self.batch_size : (index + 1) * self.batch_size]

    def _shifted(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        windows = self.padded.unfold(1, self.height, 1).unfold(2, self.width, 1)
        offsets = torch.randint(0, 2 * self.shift_px + 1, (2, len(rows)), generator=generator)
        rows, top, left = (index.to(self.device) for index in (rows, *offsets))
        return windows[rows, top, left].permute(0, 2, 3, 1).contiguous()

    def _covered(self, images_NHWC: Tensor, generator: torch.Generator) -> Tensor:
        size, count = self.cutout_px, len(images_NHWC)
        tops = torch.randint(0, self.height - size + 1, (count, 1), generator=generator)
        lefts = torch.randint(0, self.width - size + 1, (count, 1), generator=generator)
        rows, columns = torch.arange(self.height) - tops, torch.arange(self.width) - lefts
        inside = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[:, None, :]
        return torch.where(inside.unsqueeze(-1).to(self.device), self.fill, images_NHWC)
