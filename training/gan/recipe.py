"""The image generator's recipes, and what the command line and `release` ask of this model.

Everything a run depends on is a field of `Recipe`; `train gan --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from training.engine.bounds import check_bounds
from training.engine.options import TrainOptions
from training.release.spec import ReleaseSpec

_POSITIVE = (
    *("latent_size", "discriminator_steps", "pixel_deviation", "num_validation", "epochs", "batch_size"),
    *("generator_lr", "discriminator_lr", "num_validations", "patience", "judge_epochs", "student_epochs"),
    *("num_samples", "num_probed", "margin_share", "num_components", "num_held_out", "num_examples", "max_rows"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one generator is made.

    `widths` are the generator's channels from 4×4 upwards, `discriminator_widths` the discriminator's from the image
    downwards (empty: the same in reverse). `epochs` counts passes of the discriminator through the training images.
    `class_weight` is that of naming classes, in both players' losses; 0 leaves the classes to the projection alone.
    `judge` is a finished classifier run on the same data; without one, one is trained for `judge_epochs` first.
    `inception_weights` is a file of InceptionV3, which then sees the distances in the judge's place.
    """

    method: Literal["adversarial", "variational"] = "adversarial"
    conditional: bool = True
    latent_size: int = 100
    widths: tuple[int, ...] = (192, 96, 48)
    discriminator_widths: tuple[int, ...] = ()
    discriminator_norm: Literal["batch", "layer", "spectral", "none"] = "spectral"
    loss: Literal["non-saturating", "wasserstein", "hinge", "least-squares"] = "hinge"
    discriminator_steps: int = 1
    penalty_weight: float = 0.0
    class_weight: float = 0.0
    pixel_deviation: float = 0.3

    data: str = "fashion-mnist"
    num_validation: int = 2000
    resolution: int = 0
    flip: bool = False
    shift_px: int = 0

    epochs: float = 10.0
    batch_size: int = 64
    generator_lr: float = 2e-4
    discriminator_lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    schedule: Literal["one-cycle", "cosine", "constant"] = "constant"
    warmup_fraction: float = 0.0
    clip_norm: float = 0.0
    average_decay: float = 0.999
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    max_threads: int = 0
    num_validations: int = 5
    min_diversity: float = 0.15
    patience: int = 2

    judge: str = ""
    judge_preset: Literal["demo", "full"] = "full"
    judge_epochs: float = 3.0
    inception_weights: str = ""
    student_epochs: float = 1.0
    num_samples: int = 10_000
    num_probed: int = 10_000

    margin_share: float = 0.05
    num_components: int = 64
    num_held_out: int = 2048
    num_examples: int = 16
    max_rows: int = 64

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=_POSITIVE,
            not_negative=("penalty_weight", "class_weight", "resolution", "shift_px", "clip_norm"),
            fractions=("beta1", "beta2", "average_decay", "min_diversity"),
        )
        if self.class_weight and not self.conditional:
            raise ValueError("class_weight is about labels: it needs conditional=true")
        if self.penalty_weight and self.discriminator_norm == "batch":
            raise ValueError(
                "penalty_weight is about single images: it needs discriminator_norm=layer, spectral or none"
            )


# A step of 64 images takes 0.12 s of processor time (AMD EPYC, bf16, other work on the machine): 9,060 steps. Rates of
# 5e-4 for both brought labels and distances forward twice as fast as two time scales of 2e-4 and 6e-4 with beta1 0.
CONDITIONAL = Recipe(class_weight=0.2, generator_lr=5e-4, discriminator_lr=5e-4, schedule="cosine")
DCGAN = Recipe(conditional=False, loss="non-saturating", discriminator_norm="batch", average_decay=0.0)
WGAN_GP = Recipe(
    conditional=False,
    epochs=5.0,
    loss="wasserstein",
    discriminator_norm="layer",
    discriminator_steps=5,
    penalty_weight=10.0,
    generator_lr=1e-4,
    discriminator_lr=1e-4,
    beta1=0.0,
    beta2=0.9,
)
VAE = Recipe(
    conditional=False,
    method="variational",
    generator_lr=1e-3,
    discriminator_norm="batch",
    latent_size=32,
    batch_size=128,
    epochs=7.0,
    num_validations=7,
)
# A step of 50 digits takes some 18 ms of one thread (AMD EPYC, bf16): 110 epochs are 2,420 steps, three quarters of a
# minute. 16×16 pixels show all that 8×8 digits have, at a third of the cost of 32×32.
DEMO = replace(
    CONDITIONAL,
    class_weight=0.0,
    schedule="constant",
    data="digits",
    num_validation=157,
    resolution=16,
    widths=(64, 32),
    average_decay=0.99,
    epochs=110.0,
    batch_size=50,
    num_validations=6,
    max_threads=1,
    judge_preset="demo",
    judge_epochs=6.0,
    student_epochs=6.0,
    num_samples=2000,
    num_probed=1000,
    num_held_out=1024,
)

PRESETS: dict[str, Recipe] = {
    "demo": DEMO,
    "full": CONDITIONAL,
    "dcgan": DCGAN,
    "wgan-gp": WGAN_GP,
    "vae": VAE,
}


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train, evaluate on held-out data and record everything in the run's folder."""
    from training.gan.session import train_generator

    return train_generator(recipe, options)


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a finished run to the release steps."""
    from training.gan.servable import describe_generator

    return describe_generator(run, device)


def compare_runs(first: Path, second: Path) -> str:
    """Say whether two finished runs on the same data differ, by Fréchet distance."""
    from training.gan.comparison import compare_generators

    return compare_generators(first, second)
