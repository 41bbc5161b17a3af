"""The beamformer's recipes, and what the command line and `release` ask of this model.

Everything a run depends on is a field of `Recipe`; `train beamformer --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from training.engine.bounds import check_bounds
from training.engine.options import TrainOptions
from training.release.spec import ReleaseSpec


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one beamformer is made.

    `network` is ours or one of the thesis's two, which have neither gates nor hybrid heads. `gates` names the gate
    behind each stage's filter: none, separable, cell or joint. CSI SNRs are drawn from `csi_snr_db`, and for
    `clean_fraction` of the channels from `clean_csi_snr_db`, where a network that saw only noise would do harm;
    `known_fraction` of the channels come with their CSI SNR told, the others without.
    """

    network: Literal["unrolled", "residual-encoder", "complex-cnn"] = "unrolled"
    gates: tuple[str, ...] = ("separable", "joint")
    num_first_sweeps: int = 1
    num_hidden: int = 8
    num_phase_sweeps: int = 8

    data: str = "generated"
    num_clusters: int = 5
    rays_per_cluster: int = 10
    spread_deg: float = 10.0
    csi_snr_db: tuple[float, ...] = (-17.0, 8.0)
    clean_csi_snr_db: tuple[float, ...] = (8.0, 35.0)
    clean_fraction: float = 0.15
    known_fraction: float = 0.85

    loss: Literal["rate", "mse"] = "rate"
    steps: int = 4000
    batch_size: int = 12
    lr: float = 4e-3
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    warmup_fraction: float = 0.02
    average_decay: float = 0.998
    validate_every: int = 500
    num_validation: int = 96

    num_test: int = 1000
    num_released_test: int = 512
    margin: float = 0.3
    num_examples: int = 16
    max_rows: int = 64

    def __post_init__(self) -> None:
        sizes = ("num_first_sweeps", "num_hidden", "num_phase_sweeps", "batch_size", "max_rows", "num_examples")
        counts = ("num_validation", "num_test", "num_released_test")
        check_bounds(
            self,
            positive=(*sizes, *counts, "steps", "lr", "validate_every", "margin"),
            not_negative=("weight_decay", "clip_norm"),
            fractions=("warmup_fraction", "average_decay"),
        )
        for name in ("known_fraction", "clean_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        for name in ("csi_snr_db", "clean_csi_snr_db"):
            levels = getattr(self, name)
            if len(levels) != 2 or levels[0] > levels[1]:
                raise ValueError(f"{name} takes the lowest and the highest level in dB, got {levels}")


FULL = Recipe()
# The filter is good before any training, so few steps suffice to show the gates at work.
DEMO = replace(
    FULL,
    gates=("separable", "cell"),
    num_phase_sweeps=4,
    steps=60,
    batch_size=8,
    lr=6e-3,
    validate_every=60,
    num_validation=24,
    average_decay=0.9,
    num_test=24,
    num_released_test=128,
)
NO_GATE = replace(FULL, gates=("none", "none"))
ONE_STAGE = replace(FULL, gates=("joint",))
SQUARED_ERROR = replace(FULL, loss="mse")
RESIDUAL_ENCODER = replace(FULL, network="residual-encoder", lr=1e-3)
COMPLEX_CNN = replace(FULL, network="complex-cnn", lr=1e-3)

PRESETS: dict[str, Recipe] = {
    "demo": DEMO,
    "full": FULL,
    "no-gate": NO_GATE,
    "one-stage": ONE_STAGE,
    "squared-error": SQUARED_ERROR,
    "residual-encoder": RESIDUAL_ENCODER,
    "complex-cnn": COMPLEX_CNN,
}


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train, evaluate on held-out channels and record everything in the run's folder."""
    from training.beamformer.session import train_beamformer

    return train_beamformer(recipe, options)


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a finished run to the release steps.

    Raises:
        ValueError: the run's network is one of the thesis's.
    """
    from training.beamformer.servable import describe_beamformer

    return describe_beamformer(run, device)


def inspect_data(path: Path, out: Path) -> str:
    """Describe a .mat file: keys, shapes, dtypes and ranges; heat maps go to the folder `out`."""
    from training.beamformer.inspection import inspect_data as inspect

    return inspect(path, out)
