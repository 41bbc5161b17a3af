"""The Vision Transformer: an image as a sequence of patches, with a token that becomes its class.

Sources: Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929 (patches, class token); Touvron et al. 2021,
https://arxiv.org/abs/2012.12877, section 3 (a second token that learns a teacher's answers); Xiao et al. 2021,
https://arxiv.org/abs/2106.14881 (convolutions instead of one linear map of each patch).
Dimensions: N images, C channels, H height, W width, S patches, T tokens beside them, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.sequences.dropout import Dropout
from training.sequences.encoder import EncoderLayer

_HIDDEN_FACTOR = 4  # of the feed-forward layers, as published
_DEVIATION = 0.02  # of tokens and positions at first, as published


class VisionTransformer(nn.Module):
    """Images float32 [N, C, H, W], normalized → logits [N, classes].

    One that is `distilled` answers twice, by the class token and by the token that learns from a teacher; served is the
    mean.
    """

    bias: Tensor

    def __init__(
        self,
        *,
        shape: tuple[int, int, int],
        num_classes: int,
        patch_px: int,
        convolutional_stem: bool,
        width: int,
        num_layers: int,
        num_heads: int,
        dropout: float,
        distilled: bool,
    ) -> None:
        """Take the shape (height, width, channels) of the images.

        Raises:
            ValueError: patches, read each alone, do not fill the image, or features do not divide among heads.
        """
        super().__init__()
        image_height, image_width, channels = shape
        if not convolutional_stem and (image_height % patch_px or image_width % patch_px):
            raise ValueError(
                f"patches of {patch_px} pixels do not fill images of {image_height}×{image_width}; "
                "set patch_px to a divisor of both, resolution to a multiple of it, or stem=convolutions"
            )
        if width % num_heads:
            raise ValueError(f"token_width={width} does not divide among num_heads={num_heads}")
        num_patches = math.ceil(image_height / patch_px) * math.ceil(image_width / patch_px)
        num_tokens = 2 if distilled else 1
        self.embedding: nn.Module = nn.Conv2d(channels, width, patch_px, patch_px)
        if convolutional_stem:
            self.embedding = _make_stem(channels, width, patch_px)
        self.tokens = nn.Parameter(torch.empty(1, num_tokens, width))
        self.positions = nn.Parameter(torch.empty(1, num_tokens + num_patches, width))
        for parameter in (self.tokens, self.positions):
            nn.init.trunc_normal_(parameter, std=_DEVIATION)
        self.register_buffer("bias", torch.zeros(()), persistent=False)  # every place looks at every other
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(width, num_heads, _HIDDEN_FACTOR * width, dropout, pre_norm=True) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, num_classes) for _ in range(num_tokens))

    def list_matrices(self) -> list[Tensor]:
        """The matrices inside of layers, and the filters of a convolutional stem that a normalization follows."""
        filters = [
            each.weight for each in self.embedding.children() if isinstance(each, nn.Conv2d) and each.bias is None
        ]
        return filters + [parameter for parameter in self.layers.parameters() if parameter.dim() == 2]

    def answer(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits [N, classes] by each token: the class token's, and those learned from a teacher where there are."""
        patches_NSD = self.embedding(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.tokens.expand(x.shape[0], -1, -1), patches_NSD], 1)
        x = self.dropout(x + self.positions)
        for layer in self.layers:
            x = layer(x, self.bias)
        tokens_NTD = self.norm(x[:, : len(self.heads)])
        return tuple(head(tokens_NTD[:, index]) for index, head in enumerate(self.heads))

    def forward(self, x: Tensor) -> Tensor:
        answers = self.answer(x)
        return sum(answers[1:], answers[0]) / len(answers)


def _make_stem(channels: int, width: int, patch_px: int) -> nn.Sequential:
    """Convolutions that halve until a place stands for a patch, each twice as wide as the one before.

    Raises:
        ValueError: halving never comes to this patch.
    """
    num_halvings = patch_px.bit_length() - 1
    if patch_px != 2**num_halvings or not num_halvings:
        raise ValueError(f"stem=convolutions halves images: patch_px must be 2, 4, 8, …, got {patch_px}")
    modules: list[nn.Module] = []
    for remaining in reversed(range(num_halvings)):
        out_channels = max(1, width // 2**remaining)
        modules += [
            nn.Conv2d(channels, out_channels, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        ]
        channels = out_channels
    return nn.Sequential(*modules, nn.Conv2d(channels, width, 1))
