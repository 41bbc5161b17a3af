"""The image generator's recipes.

Everything a run depends on is a field of `Recipe`; `train gan --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.engine.bounds import check_bounds
from training.engine.device import Precision
from training.engine.schedules import ScheduleName
from training.images.adversarial_losses import LossName
from training.images.dcgan import DiscriminatorNorm

RETIRED = ("num_validation",)  # in records of runs whose validation part was a count
_POSITIVE = (
    *("latent_size", "style_size", "num_mappings", "discriminator_steps", "pixel_deviation", "epochs", "batch_size"),
    *("r1_every", "generator_lr", "discriminator_lr", "num_validations", "patience", "judge_epochs", "student_epochs"),
    *("num_samples", "num_probed", "margin_share", "num_components", "num_held_out", "num_examples", "max_rows"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one generator is made; without class_weight, classes are left to the discriminator's projection alone."""

    method: Annotated[Literal["adversarial", "variational"], "way of training"] = "adversarial"
    conditional: Annotated[bool, "draw the class that is asked for"] = True
    generator: Annotated[Literal["dcgan", "style"], "network that draws"] = "dcgan"
    style_size: Annotated[int, "of a style-based generator: values in a style"] = 64
    num_mappings: Annotated[int, "of a style-based generator: layers from a latent to its style"] = 4
    mixing_share: Annotated[float, "of a style-based generator: training images with two latents' styles"] = 0.5
    growth: Annotated[float, "share of the steps over which images grow to their size; 0: they have it at once"] = 0.0
    latent_size: Annotated[int, "values in a latent vector"] = 100
    widths: Annotated[tuple[int, ...], "generator's channels from 4×4 upwards"] = (192, 96, 48)
    discriminator_widths: Annotated[tuple[int, ...], "the other's from the image downwards; empty: as widths"] = ()
    discriminator_norm: Annotated[DiscriminatorNorm, "its normalization"] = "spectral"
    loss: Annotated[LossName, "what the two players minimize"] = "hinge"
    discriminator_steps: Annotated[int, "steps of the discriminator for each of the generator"] = 1
    penalty_weight: Annotated[float, "weight of the gradient penalty; 0 leaves it out"] = 0.0
    r1_weight: Annotated[float, "weight of the scores' squared slope at real images (R1); 0 leaves it out"] = 0.0
    r1_every: Annotated[int, "steps from one look at that slope to the next"] = 16
    sees_batch: Annotated[bool, "tell the discriminator how much the images of a batch differ"] = False
    class_weight: Annotated[float, "weight of naming classes in both players' losses; 0 leaves it out"] = 0.0
    pixel_deviation: Annotated[float, "deviation of pixels from what a VAE draws, in a range of 2"] = 0.3

    data: Annotated[str, "data set where --data is not given"] = "fashion-mnist"
    validation_fraction: Annotated[float, "share of the training images that validates, of many at least 50"] = 1 / 30
    resolution: Annotated[int, "side in pixels to which images are resized; 0 keeps their own size"] = 0
    flip: Annotated[bool, "mirror training images in every second epoch"] = False
    shift_px: Annotated[int, "farthest random shift of training images, in pixels"] = 0

    epochs: Annotated[float, "passes of the discriminator through the training images"] = 10.0
    batch_size: Annotated[int, "images in a step"] = 64
    generator_lr: Annotated[float, "highest learning rate of the generator"] = 2e-4
    discriminator_lr: Annotated[float, "highest learning rate of the discriminator"] = 2e-4
    beta1: Annotated[float, "decay of Adam's mean gradient"] = 0.5
    beta2: Annotated[float, "decay of Adam's mean squared gradient"] = 0.999
    schedule: Annotated[ScheduleName, "learning rates over time"] = "constant"
    warmup_fraction: Annotated[float, "share of the steps over which the learning rates rise"] = 0.0
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 0.0
    average_decay: Annotated[float, "decay of the generator's average, which is released; 0: none"] = 0.999
    precision: Annotated[Precision, "arithmetic; auto is bf16 where the device multiplies it"] = "auto"
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0
    num_validations: Annotated[int, "validations over the run"] = 5
    min_diversity: Annotated[float, "spread of images relative to real ones below which a run collapses"] = 0.15
    patience: Annotated[int, "bad validations in a row that end a run"] = 2

    judge: Annotated[str, "finished classifier run on the same data; empty: one is trained first"] = ""
    judge_preset: Annotated[Literal["demo", "full"], "preset of the classifiers that are trained"] = "full"
    judge_epochs: Annotated[float, "epochs of the judge that is trained"] = 3.0
    inception_weights: Annotated[str, "torchvision's InceptionV3, to see distances in the judge's place"] = ""
    student_epochs: Annotated[float, "epochs of the classifier that learns from generated images alone"] = 1.0
    num_samples: Annotated[int, "images generated for the evaluation"] = 10_000
    num_probed: Annotated[int, "training images that the discriminator's features are probed with"] = 10_000

    margin_share: Annotated[float, "share of the Fréchet distance that a released variant may lose"] = 0.05
    num_components: Annotated[int, "principal components that the gate's distance is about"] = 64
    num_held_out: Annotated[int, "seeds that the gate looks at"] = 2048
    num_examples: Annotated[int, "seeds that a release carries as examples"] = 16
    max_rows: Annotated[int, "most images in a served batch"] = 64

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=_POSITIVE,
            not_negative=("penalty_weight", "r1_weight", "class_weight", "resolution", "shift_px", "clip_norm"),
            fractions=(
                "validation_fraction",
                "beta1",
                "beta2",
                "average_decay",
                "min_diversity",
                "mixing_share",
                "growth",
            ),
        )
        if self.class_weight and not self.conditional:
            raise ValueError("class_weight is about labels: it needs conditional=true")
        if self.growth and (self.generator == "style" or self.method == "variational"):
            raise ValueError("growth is about generator=dcgan with method=adversarial: set it to 0")
        if self.growth and self.discriminator_widths:
            raise ValueError("growth needs players of the same widths: leave discriminator_widths empty")
        if self.generator == "style" and self.method == "variational":
            raise ValueError("generator=style draws while it trains what method=variational has no use for: use dcgan")
        if (self.penalty_weight or self.r1_weight) and self.discriminator_norm == "batch":
            raise ValueError(
                "penalty_weight and r1_weight are about single images: discriminator_norm=layer, spectral or none"
            )
        if self.sees_batch and self.method == "variational":
            raise ValueError("sees_batch=true is about discriminators, and method=variational has none")


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
# Nothing normalizes what a style-based generator draws over a batch, as it does in the others: before the opponent of
# `full` it soon draws one image.
STYLE = replace(
    CONDITIONAL,
    generator="style",
    conditional=False,
    class_weight=0.0,
    loss="non-saturating",
    discriminator_norm="layer",
    r1_weight=0.1,
    beta1=0.0,
    generator_lr=1e-3,
    discriminator_lr=1e-3,
)
# `full`, grown over the first half of its steps.
GROWING = replace(CONDITIONAL, growth=0.5)
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
# A step of 50 digits takes some 31 ms of one thread (AMD EPYC, Zen 3): 106 epochs are 2,332 steps, a minute and a
# quarter. 16×16 pixels show all that 8×8 digits have, at a third of the cost of 32×32.
DEMO = replace(
    CONDITIONAL,
    class_weight=0.0,
    schedule="constant",
    data="digits",
    validation_fraction=0.125,
    resolution=16,
    widths=(64, 32),
    average_decay=0.99,
    epochs=106.0,
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
    "style": STYLE,
    "growing": GROWING,
    "vae": VAE,
}
