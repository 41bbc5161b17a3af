"""A network that tells which caption belongs to which image, and the loss by which it learns and teaches.

Source: Radford et al. 2021, https://arxiv.org/abs/2103.00020, figure 3; the sentence's part of the matching loss of Xu
et al. 2018, AttnGAN, https://arxiv.org/abs/1711.10485, eq. 11 to 13, is the same with a fixed scale.
Dimensions: N images and captions, S pieces, E values compared, C channels, H height, W width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.images.dcgan import Shape
from training.images.pixels import scale_images
from training.sequences.text_encoder import TransformerEncoder
from training.text_to_image.image_encoder import ImageEncoder
from training.text_to_image.pairs import find_equals
from training.text_to_image.recipe import Recipe

_FIRST_SCALE, _LARGEST_SCALE = 10.0, 50.0
_NUM_HEADS = 4
_PIECE = 500


class Matcher(nn.Module):
    """Images float32 [N, C, H, W] in [−1, 1] and captions int64 [N, S] → directions float32 [N, E] of both."""

    def __init__(self, recipe: Recipe, num_pieces: int, shape: Shape) -> None:
        super().__init__()
        self.image = ImageEncoder(recipe, shape, recipe.match_size)
        self.text = build_text_encoder(recipe, num_pieces)
        self.project = nn.Linear(recipe.text_width, recipe.match_size)
        self.log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE)))

    def see(self, images: Tensor) -> Tensor:
        """Where images point, float32 [N, E] of length 1."""
        return F.normalize(self.image(images), dim=1)

    def read(self, pieces: Tensor) -> Tensor:
        """Where captions point, float32 [N, E] of length 1."""
        return F.normalize(self.project(self.text(pieces)), dim=1)

    def measure_loss(self, images: Tensor, pieces: Tensor) -> Tensor:
        """Cross-entropy of finding each image's caption in the batch and each caption's image; equal captions share."""
        scale = self.log_scale.exp().clamp(max=_LARGEST_SCALE)
        logits = scale * self.see(images) @ self.read(pieces).T
        equal = find_equals(pieces, pieces).to(logits.dtype)
        shares = equal / equal.sum(1, keepdim=True)
        return (F.cross_entropy(logits, shares) + F.cross_entropy(logits.T, shares)) / 2


def build_text_encoder(recipe: Recipe, num_pieces: int) -> TransformerEncoder:
    """Build what reads captions, with random weights."""
    return TransformerEncoder(
        num_pieces,
        width=recipe.text_width,
        num_heads=_NUM_HEADS,
        hidden=2 * recipe.text_width,
        num_layers=recipe.text_layers,
        max_pieces=recipe.max_pieces,
    )


@torch.no_grad()
def see_images(matcher: Matcher, images_NHWC: Tensor) -> Tensor:
    """Where any number of images uint8 [N, H, W, C] point, float32 [N, E] on the CPU."""
    device = matcher.log_scale.device
    return torch.cat([matcher.see(scale_images(piece.to(device))).cpu() for piece in images_NHWC.split(_PIECE)])


@torch.no_grad()
def read_captions(matcher: Matcher, pieces: Tensor) -> Tensor:
    """Where any number of captions int64 [N, S] point, float32 [N, E] on the CPU."""
    device = matcher.log_scale.device
    return torch.cat([matcher.read(piece.to(device)).cpu() for piece in pieces.split(_PIECE)])
