"""The diffusion model's recipes.

Everything a run depends on is a field of `Recipe`; `train diffusion --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from model_store.denoising import NoiseSchedule, Sampler
from training.engine.bounds import check_bounds
from training.engine.device import Precision
from training.engine.schedules import ScheduleName

_POSITIVE = (
    *("patch_px", "num_blocks", "embedding_size", "epochs", "batch_size", "lr", "num_validations", "judge_epochs"),
    *("student_epochs", "steps", "num_samples", "num_validated", "margin_share", "num_components", "num_held_out"),
    *("num_examples", "max_rows"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one diffusion model is made."""

    widths: Annotated[tuple[int, ...], "the U-Net's channels, each of a map half as fine as that before"] = (48, 96)
    patch_px: Annotated[int, "side of the squares of pixels that make a point of the finest map"] = 2
    num_blocks: Annotated[int, "residual blocks at each width on either side"] = 1
    embedding_size: Annotated[int, "values that say class and noise to every block"] = 128
    noise_schedule: Annotated[NoiseSchedule, "noise over time"] = "cosine"
    label_dropout: Annotated[float, "share of training images whose class is hidden, for guidance"] = 0.1

    steps: Annotated[int, "steps of an image where a request names none"] = 10
    guidance: Annotated[float, "how far towards the class an image is drawn where a request does not say; 1: not"] = 1.0
    sampler: Annotated[Sampler, "the way from noise to image where a request names none"] = "dpm-solver++"

    data: Annotated[str, "data set where --data is not given"] = "fashion-mnist"
    validation_fraction: Annotated[float, "share of the training images that validates, of many at least 50"] = 1 / 30
    resolution: Annotated[int, "side in pixels to which images are resized; 0 keeps their own size"] = 0
    flip: Annotated[bool, "mirror training images in every second epoch"] = False
    shift_px: Annotated[int, "farthest random shift of training images, in pixels"] = 0

    epochs: Annotated[float, "passes through the training images"] = 20.0
    batch_size: Annotated[int, "images in a step"] = 64
    lr: Annotated[float, "highest learning rate"] = 2e-3
    schedule: Annotated[ScheduleName, "learning rate over time"] = "cosine"
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.05
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 1.0
    average_decay: Annotated[float, "decay of the weights' average, which is released"] = 0.999
    precision: Annotated[Precision, "arithmetic; auto is bf16 where the device multiplies it"] = "auto"
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0
    num_validations: Annotated[int, "validations over the run"] = 5
    num_validated: Annotated[int, "images drawn at each of them"] = 500

    judge: Annotated[str, "finished classifier run on the same data; empty: one is trained first"] = ""
    judge_preset: Annotated[Literal["demo", "full"], "preset of the classifiers that are trained"] = "full"
    judge_epochs: Annotated[float, "epochs of the judge that is trained"] = 3.0
    inception_weights: Annotated[str, "torchvision's InceptionV3, to see distances in the judge's place"] = ""
    student_epochs: Annotated[float, "epochs of the classifier that learns from drawn images alone"] = 1.0
    num_samples: Annotated[int, "images drawn for the evaluation"] = 10_000

    margin_share: Annotated[float, "share of the Fréchet distance that a released variant may lose"] = 0.05
    num_components: Annotated[int, "principal components that the gate's distance is about"] = 64
    num_held_out: Annotated[int, "seeds that the gate looks at"] = 2048
    num_examples: Annotated[int, "seeds that a release carries as examples"] = 16
    max_rows: Annotated[int, "most images in a served batch"] = 32

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=_POSITIVE,
            not_negative=("guidance", "resolution", "shift_px", "clip_norm"),
            fractions=("validation_fraction", "label_dropout", "warmup_fraction", "average_decay"),
        )


FULL = Recipe()
# 16×16 pixels, as the demo of the generator has them: the two are compared. Five guided steps cost what ten without do,
# and bring the Fréchet distance from 2.3 to 1.6: without guidance too much is drawn between two classes.
DEMO = Recipe(
    data="digits",
    validation_fraction=0.125,
    resolution=16,
    widths=(32, 64),
    embedding_size=64,
    epochs=38.0,
    batch_size=50,
    average_decay=0.99,
    steps=5,
    guidance=1.25,
    num_validations=3,
    num_validated=200,
    max_threads=1,
    judge_preset="demo",
    judge_epochs=6.0,
    student_epochs=6.0,
    num_samples=2000,
    num_held_out=1024,
)

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL}
