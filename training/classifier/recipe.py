"""The classifier's recipes, and what the command line and `release` ask of this model.

Everything a run depends on is a field of `Recipe`; `train classifier --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.classifier.transfer import PRETRAINED
from training.engine.bounds import check_bounds
from training.engine.options import TrainOptions
from training.release.spec import ReleaseSpec

_POSITIVE = ("epochs", "batch_size", "lr", "num_validation", "num_calibration", "num_examples", "max_rows", "margin")
_NOT_NEGATIVE = (
    "shift_px",
    "cutout_px",
    "patience",
    "clip_norm",
    "weight_decay",
    "frozen_epochs",
    "resolution",
    "max_threads",
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one classifier is made. Rates are for the batch size given; `lr` belongs to the optimizer of the network."""

    network: str = "compact"
    widths: tuple[int, ...] = (64, 256, 256)
    depth: int = 2
    whiten_kernel: int = 2
    whiten_epochs: int = 3
    attention: Literal["none", "se", "cbam"] = "none"
    dropout: float = 0.0
    weights_file: str | None = None
    frozen_epochs: int = 0
    layer_decay: float = 1.0

    data: str = "fashion-mnist"
    num_validation: int = 2000
    resolution: int = 0
    flip: bool = True
    shift_px: int = 2
    cutout_px: int = 0

    epochs: float = 10.0
    batch_size: int = 500
    lr: float = 0.12
    momentum: float = 0.9
    weight_decay: float = 1e-3
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    warmup_fraction: float = 0.0
    label_smoothing: float = 0.1
    clip_norm: float = 0.0
    average_decay: float = 0.0
    patience: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    max_threads: int = 0

    test_flip: bool = False
    margin: float = 0.003
    num_calibration: int = 256
    num_examples: int = 16
    max_rows: int = 64

    def __post_init__(self) -> None:
        fractions = ("dropout", "label_smoothing", "average_decay")
        check_bounds(self, positive=_POSITIVE, not_negative=_NOT_NEGATIVE, fractions=fractions)
        if self.weights_file and self.network not in PRETRAINED:
            raise ValueError(f"weights_file goes with network {', '.join(PRETRAINED)}; got {self.network}")


# The demo's 540 test rows: two variants that disagree on 3 of them already leave an interval of ±0.6 points, so a
# margin of 0.3 could never be shown; 1.5 points is what so few rows can resolve. One thread, because steps this small
# gain little from a second one and become ten times slower when another process wants its core.
DEMO = Recipe(
    data="digits",
    num_validation=157,
    resolution=32,
    widths=(32, 64, 64),
    flip=False,
    epochs=12,
    batch_size=50,
    lr=0.1,
    margin=0.015,
    max_threads=1,
)
# Sized for half an hour on two cores: a step of 500 Fashion-MNIST images took 1.6 s of processor time (AMD EPYC, bf16,
# other work on the machine), and 18 epochs are 2,088 steps.
FULL = Recipe(
    data="fashion-mnist",
    epochs=18,
    batch_size=500,
    lr=0.12,
    weight_decay=1e-3,
    label_smoothing=0.2,
    cutout_px=8,
    test_flip=True,
)
RESNET18 = Recipe(
    data="fashion-mnist",
    network="resnet18",
    epochs=3,
    batch_size=128,
    lr=0.1,
    weight_decay=5e-4,
    warmup_fraction=0.3,
    shift_px=1,
    label_smoothing=0.05,
)

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL, "resnet18": RESNET18}


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train, evaluate on held-out data and record everything in the run's folder."""
    from training.classifier.session import train_classifier

    return train_classifier(recipe, options)


def compare_runs(first: Path, second: Path) -> str:
    """Tell whether two finished runs differ on their test rows."""
    from training.classifier.comparison import compare_runs

    return compare_runs(first, second)


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a finished run to the release steps."""
    from training.classifier.servable import describe_classifier

    return describe_classifier(run, device)
