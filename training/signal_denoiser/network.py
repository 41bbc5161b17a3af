"""The segmenter's U-Net over one dimension: it tells the disturbances of a signal, and what is left is the answer.

Dimensions: N signals, L samples.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.images.unet import UNetBody
from training.sequences.scaling import measure_scale
from training.signal_denoiser.recipe import Recipe


class SignalDenoiser(nn.Module):
    """A body behind a signal's own scaling, so that gain and offset do not matter; answers have mean 0."""

    def __init__(self, recipe: Recipe, num_samples: int) -> None:
        super().__init__()
        self.padding = -num_samples % 2**recipe.depth
        self.body = UNetBody(
            num_channels=1, width=recipe.width, depth=recipe.depth, norm=nn.BatchNorm1d, num_dimensions=1
        )
        self.head = nn.Conv1d(recipe.width, 1, 1)

    def forward(self, signals: Tensor) -> Tensor:
        """Disturbed signals float32 [N, L] → the same without disturbances, around 0."""
        level, scale = measure_scale(signals)
        x = (signals - level) / scale
        padded = F.pad(x, (0, self.padding))[:, None]
        disturbances = self.head(self.body.rise(self.body.descend(padded)))[:, 0, : x.shape[1]]
        left = x - disturbances
        return (left - left.mean(1, keepdim=True)) * scale


def load_network(run: Path) -> tuple[SignalDenoiser, Recipe, dict]:
    """Rebuild a finished run's network; also return its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe, stored = from_record(Recipe, read_run(run)["recipe"]), read_network(run)
    network = SignalDenoiser(recipe, stored["shape"][0])
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored
