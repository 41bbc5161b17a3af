"""Images with their captions as networks see them, and which captions say the same.

Dimensions: N pairs, S pieces, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.images.pixels import scale_images
from training.sequences.batching import pad_rows
from training.sequences.vocabulary import Vocabulary
from training.text_to_image.captioned import CaptionedImages


@dataclass(frozen=True)
class Pairs:
    """Images uint8 [M, H, W, C], and for each of N captions its image's row int64 [N] and its pieces int64 [N, S]."""

    images: Tensor
    rows: Tensor
    pieces: Tensor
    things: Tensor | None

    @classmethod
    def of(cls, captioned: CaptionedImages, vocabulary: Vocabulary, max_pieces: int) -> Pairs:
        """Encode all captions of some images."""
        counts = torch.tensor([len(captions) for captions in captioned.captions])
        texts = [caption for captions in captioned.captions for caption in captions]
        return cls(
            captioned.images,
            torch.arange(len(counts)).repeat_interleave(counts),
            encode_captions(texts, vocabulary, max_pieces),
            captioned.things,
        )

    def draw(self, count: int, random: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Draw pairs: images float32 [N, C, H, W] in [−1, 1], pieces, and on the CPU the images' rows."""
        chosen = torch.randint(len(self.rows), (count,), generator=random)
        rows = self.rows[chosen]
        return scale_images(self.images[rows].to(device)), self.pieces[chosen].to(device), rows


def encode_captions(captions: Sequence[str], vocabulary: Vocabulary, max_pieces: int) -> Tensor:
    """Pieces of captions, int64 [N, `max_pieces`], padded: what a network reads never depends on the other captions."""
    pieces = pad_rows(vocabulary.encode(captions, max_pieces))
    return F.pad(pieces, (0, max_pieces - pieces.shape[1]))


def find_equals(pieces: Tensor, others: Tensor) -> Tensor:
    """Which captions say the same to the letter: bool [N, M] of pieces int64 [N, S] and [M, S]."""
    return (pieces[:, None] == others[None]).all(2)
