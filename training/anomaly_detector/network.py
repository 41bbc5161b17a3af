"""A U-Net's body over one dimension without its skips: what comes back of a signal has gone through a narrow code.

Dimensions: N signals, C channels, L samples, S places of the code.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from training.anomaly_detector.recipe import Recipe
from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.images.unet import UNetBody
from training.sequences.scaling import measure_scale


class SignalAutoencoder(nn.Module):
    """Signals of mean 0 and deviation 1, float32 [N, L], to what a code [N, code_channels, S] tells of them."""

    def __init__(self, recipe: Recipe, num_samples: int) -> None:
        super().__init__()
        self.padding = -num_samples % 2**recipe.depth
        self.body = UNetBody(
            num_channels=1,
            width=recipe.width,
            depth=recipe.depth,
            skips=False,
            norm=nn.BatchNorm1d,
            num_dimensions=1,
        )
        lowest = self.body.widths[-1]
        self.narrow = nn.Conv1d(lowest, recipe.code_channels, 1)
        self.widen = nn.Conv1d(recipe.code_channels, lowest, 1)
        self.head = nn.Conv1d(recipe.width, 1, 1)

    def forward(self, scaled: Tensor) -> Tensor:
        """What comes back, [N, L]."""
        padded = F.pad(scaled, (0, self.padding))[:, None]
        *above, lowest = self.body.descend(padded)
        risen = self.body.rise([*above, self.widen(self.narrow(lowest))])
        return self.head(risen)[:, 0, : scaled.shape[1]]


def count_code(recipe: Recipe, num_samples: int) -> int:
    """How many values the code of a signal has."""
    return recipe.code_channels * -(-num_samples // 2**recipe.depth)


def scale_signals(signals: Tensor) -> Tensor:
    """Signals [N, L] of any gain and offset, with mean 0 and deviation 1."""
    level, scale = measure_scale(signals)
    return (signals - level) / scale


def load_network(run: Path) -> tuple[SignalAutoencoder, Recipe, dict]:
    """Rebuild a finished run's network; also return its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe, stored = from_record(Recipe, read_run(run)["recipe"]), read_network(run)
    network = SignalAutoencoder(recipe, stored["shape"][0])
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored
