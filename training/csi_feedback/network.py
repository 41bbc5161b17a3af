"""Which pairs of encoder and decoder there are, and where a finished run keeps its own.

Dimensions: N channels, T delay taps, A angles, M values of a codeword.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from training.csi_feedback.attention_codec import AttentionDecoder, AttentionEncoder, start_from_components
from training.csi_feedback.csinet import CsiNetDecoder, CsiNetEncoder
from training.csi_feedback.data import CsiData
from training.csi_feedback.quantizer import CodeQuantizer
from training.csi_feedback.recipe import Recipe
from training.csi_feedback.sparse_codec import SparseDecoder, SparseEncoder
from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run


class CsiCodec(nn.Module):
    """What the user equipment runs, what the base station runs, and how codewords are rounded between them."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.encoder: nn.Module
        self.decoder: nn.Module
        if recipe.network == "csinet":
            self.encoder, self.decoder = CsiNetEncoder(recipe), CsiNetDecoder(recipe)
        elif recipe.network == "sparse":
            self.encoder, self.decoder = SparseEncoder(recipe), SparseDecoder(recipe)
        else:
            self.encoder, self.decoder = AttentionEncoder(recipe), AttentionDecoder(recipe)
        self.quantizer = CodeQuantizer(recipe.code_size, recipe.code_bits) if recipe.code_bits else None

    def forward(self, channels: Tensor) -> Tensor:
        """Channels of mean power 1, [N, T, A, 2] → what comes back of them."""
        code = self.encoder(channels)
        restored: Tensor = self.decoder(code if self.quantizer is None else self.quantizer(code))
        return restored


def build_network(recipe: Recipe, data: CsiData) -> CsiCodec:
    """Build a recipe's pair, untrained; its start and its quantizer's ranges are found in training channels."""
    codec = CsiCodec(recipe)
    if recipe.network == "transformer" and recipe.start == "principal":
        assert isinstance(codec.encoder, AttentionEncoder)
        assert isinstance(codec.decoder, AttentionDecoder)
        start_from_components(codec.encoder, codec.decoder, data.components)
    if codec.quantizer is not None:
        with torch.no_grad():
            codec.quantizer.fit_range(codec.encoder(data.fit))
    return codec


def load_network(run: Path) -> tuple[CsiCodec, Recipe]:
    """Rebuild a finished run's pair.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe = from_record(Recipe, read_run(run)["recipe"])
    codec = CsiCodec(recipe)
    codec.load_state_dict(read_network(run)["network"])
    return codec.requires_grad_(False).eval(), recipe
