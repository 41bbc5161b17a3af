"""The strongest entries with their places, and a Transformer that fills in what a limited band and array spread around.

Choosing takes no learning, and what each channel's own places are worth a fixed projection cannot match where codewords
are short. A codeword holds M / 3 entries: real parts, imaginary parts, then places, which float32 holds exactly.
Dimensions: N channels, T delay taps, A angles, M values of a codeword, E entries.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.csi_feedback.attention_codec import TapMixer
from training.csi_feedback.baselines import VALUES_PER_PLACED_ENTRY
from training.csi_feedback.recipe import Recipe


class SparseEncoder(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.num_entries = recipe.code_size // VALUES_PER_PLACED_ENTRY
        self.num_unused = recipe.code_size - VALUES_PER_PLACED_ENTRY * self.num_entries

    def forward(self, channels: Tensor) -> Tensor:
        """[N, T, A, 2] → [N, M]; values that are left over are zeros."""
        entries = channels.flatten(1, 2)
        places = entries.square().sum(2).topk(self.num_entries).indices
        parts = [entries[..., part].gather(1, places) for part in (0, 1)]
        unused = torch.zeros_like(entries[:, : self.num_unused, 0])
        return torch.cat([*parts, places.to(channels.dtype), unused], 1)


class SparseDecoder(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.num_entries = recipe.code_size // VALUES_PER_PLACED_ENTRY
        self.num_places = recipe.num_taps * recipe.num_antennas
        self.mixer = TapMixer(recipe)

    def forward(self, code: Tensor) -> Tensor:
        """[N, M] → [N, T, A, 2]; a place that is none counts as the nearest one."""
        real, imaginary, places = code[:, : VALUES_PER_PLACED_ENTRY * self.num_entries].chunk(3, 1)
        where = places.round().clamp(0, self.num_places - 1).to(torch.int64)
        empty = torch.zeros_like(code[:, :1]).expand(-1, self.num_places)
        entries = torch.stack([empty.scatter(1, where, part) for part in (real, imaginary)], 2)
        channels = entries.unflatten(1, self.mixer.shape[:2])
        restored: Tensor = channels + self.mixer(channels)
        return restored
