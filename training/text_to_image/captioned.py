"""Images with captions, and where they come from a composer the things that are on them.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from torch import Tensor

NUM_PLACES = 2  # things on an image at most, in the order of reading


@dataclass(frozen=True, kw_only=True)
class CaptionedImages:
    """Images uint8 [N, H, W, C], one or more captions of each, and perhaps `things` int64 [N, 2, 2].

    `things` are the class and the colour of the first and the second thing; the number after the last stands for
    nothing.
    """

    images: Tensor
    captions: tuple[tuple[str, ...], ...]
    things: Tensor | None = None

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def first_captions(self) -> list[str]:
        """The first caption of each image."""
        return [captions[0] for captions in self.captions]

    def take(self, rows: Tensor) -> CaptionedImages:
        """Pick images with all their captions, in the order of `rows`."""
        return CaptionedImages(
            images=self.images[rows],
            captions=tuple(self.captions[row] for row in rows.tolist()),
            things=None if self.things is None else self.things[rows],
        )


@dataclass(frozen=True, kw_only=True)
class CaptionData:
    """A data set in its parts; no training step of what draws, and no choice, ever looks at `test` or `unseen`.

    `unseen` holds classes in colours in which `train` never has them. `judging` is what the judges learn from, who
    have to know all of them. `classes` and `colours` name what things may be; empty: nobody knows what is on an image.
    """

    name: str
    classes: tuple[str, ...]
    colours: tuple[str, ...]
    train: CaptionedImages
    validation: CaptionedImages
    test: CaptionedImages
    unseen: CaptionedImages | None
    judging: CaptionedImages

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def tests(self) -> dict[str, CaptionedImages]:
        """The test parts by name: with combinations that `train` has, and with those that it has not."""
        return {"seen": self.test} | ({} if self.unseen is None else {"unseen": self.unseen})

    def describe_parts(self) -> str:
        """Say where the images went."""
        tests = " and ".join(f"{len(part)} {name}" for name, part in self.tests.items())
        shape = "×".join(map(str, self.shape))
        return f"{self.name}: {len(self.train)} training, {len(self.validation)} validation, {tests} test of {shape}"

    def digest(self) -> str:
        """sha256 over all test images and their first captions: what figures are about."""
        digest = hashlib.sha256()
        for part in self.tests.values():
            digest.update(part.images.contiguous().numpy().data)
            digest.update("\n".join(part.first_captions).encode())
        return digest.hexdigest()
