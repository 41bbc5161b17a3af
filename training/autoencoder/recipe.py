"""The autoencoder's recipes.

Everything a run depends on is a field of `Recipe`; `train autoencoder --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.engine.bounds import check_bounds
from training.engine.device import Precision
from training.engine.schedules import ScheduleName

Corruption = Literal["gaussian", "masking", "salt-and-pepper"]
_POSITIVE = (
    *("pixel_deviation", "epochs", "batch_size", "lr", "num_validations", "margin", "num_calibration"),
    *("num_examples", "max_rows"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one autoencoder is made; what is 0 of corruption_level, sparsity_weight and beta is left out."""

    code_size: Annotated[int, "values in a code"] = 32
    widths: Annotated[tuple[int, ...], "decoder's channels from 4×4 upwards; the encoder has them the other way"] = (
        *(128, 64, 32),
    )
    corruption: Annotated[Corruption, "how images are spoilt that are to come back clean"] = "gaussian"
    corruption_level: Annotated[float, "deviation of the noise as a share of white, or share of spoilt pixels"] = 0.0
    sparsity_weight: Annotated[float, "weight of the code's L1 norm; a sparse code is held at unit variance"] = 0.0
    beta: Annotated[float, "weight of the code's divergence from N(0, 1): β-VAE, 1 is the VAE"] = 0.0
    pixel_deviation: Annotated[float, "deviation of pixels from what is drawn, in a range of 2: weighs their error"] = (
        0.3
    )

    data: Annotated[str, "data set where --data is not given"] = "fashion-mnist"
    validation_fraction: Annotated[float, "share of the training images that validates, of many at least 50"] = 1 / 30
    resolution: Annotated[int, "side in pixels to which images are resized; 0 keeps their own size"] = 0
    unseen: Annotated[str, "class that is kept out of training, to be found unusual; empty: none"] = ""
    flip: Annotated[bool, "mirror training images in every second epoch"] = False
    shift_px: Annotated[int, "farthest random shift of training images, in pixels"] = 0

    epochs: Annotated[float, "passes through the training images"] = 10.0
    batch_size: Annotated[int, "images in a step"] = 128
    lr: Annotated[float, "highest learning rate"] = 2e-3
    weight_decay: Annotated[float, "weight decay"] = 1e-4
    schedule: Annotated[ScheduleName, "learning rate over time"] = "cosine"
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.05
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 0.0
    average_decay: Annotated[float, "decay of the average of weights, which is released"] = 0.99
    precision: Annotated[Precision, "arithmetic; auto is bf16 where the device multiplies it"] = "auto"
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0
    num_validations: Annotated[int, "validations over the run"] = 5

    usual_share: Annotated[float, "share of usual images that shall not be called unusual"] = 0.99
    margin: Annotated[float, "what a released variant may lose of the share that is explained"] = 0.005
    num_calibration: Annotated[int, "training images that quantization is calibrated with"] = 256
    num_examples: Annotated[int, "test images that a release carries as examples"] = 16
    max_rows: Annotated[int, "most images in a served batch"] = 64

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=_POSITIVE,
            not_negative=("sparsity_weight", "beta", "resolution", "shift_px", "weight_decay", "clip_norm"),
            fractions=(
                *("corruption_level", "validation_fraction", "warmup_fraction", "average_decay", "usual_share"),
            ),
        )
        if self.code_size < 2:
            raise ValueError(f"code_size must be at least 2, got {self.code_size}")
        if self.sparsity_weight and self.beta:
            raise ValueError(
                "sparsity_weight and beta ask for codes of different distributions, mostly 0 and N(0, 1): set one to 0"
            )


FULL = Recipe()
# 16×16 pixels, as the demos of the generators have them; shifts because 1,100 digits are soon known by heart.
DEMO = replace(
    FULL,
    data="digits",
    validation_fraction=0.125,
    resolution=16,
    shift_px=1,
    code_size=10,
    widths=(64, 32),
    epochs=60.0,
    batch_size=50,
    max_threads=1,
)

PRESETS: dict[str, Recipe] = {
    "demo": DEMO,
    "full": FULL,
    "denoising": replace(FULL, corruption_level=0.3),
    "sparse": replace(FULL, code_size=128, sparsity_weight=0.3),
    "beta-vae": replace(FULL, code_size=16, beta=4.0),
}
