"""The forecaster's recipes.

Everything a run depends on is a field of `Recipe`; `train forecaster --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from training.engine.bounds import check_bounds
from training.sequences.patch_encoders import NetworkName

_SIZES = ("context", "horizon", "patch", "width", "num_layers", "num_heads", "features", "batch_size")
_COUNTS = ("num_validation", "num_test", "num_calibration", "num_examples", "max_rows", "origin_stride", "period")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one forecaster is made."""

    network: Annotated[NetworkName, "which network"] = "transformer"
    patch: Annotated[int, "steps that enter the network together"] = 4
    width: Annotated[int, "features of a patch inside the network"] = 64
    num_layers: Annotated[int, "layers of the network"] = 2
    num_heads: Annotated[int, "heads of the transformer's attention"] = 4
    features: Annotated[int, "features of a whole history, from which all quantiles follow"] = 128
    dropout: Annotated[float, "share of features left out inside the network in training"] = 0.0

    teacher: Annotated[str | None, "finished run whose quantiles are learned beside the series"] = None
    teacher_weight: Annotated[float, "share of the loss that the teacher's quantiles have"] = 0.5

    data: Annotated[str, "data set where --data is not given"] = "generated"
    context: Annotated[int, "steps of history that a forecast sees"] = 96
    horizon: Annotated[int, "steps that are forecast"] = 24
    levels: Annotated[tuple[float, ...], "levels of the quantiles, an odd number, symmetric around 0.5"] = (
        *(0.1, 0.25, 0.5, 0.75, 0.9),
    )
    periods: Annotated[tuple[int, ...], "seasons that generated series may have, in steps"] = (4, 7, 11, 12, 24)
    period: Annotated[int, "season of the series in a CSV file, in steps, for the baseline and the scale"] = 24
    generated_fraction: Annotated[float, "share of training windows that are generated beside those of the data"] = 0.5
    origin_stride: Annotated[int, "steps between the forecasts of one series in validation and test"] = 6

    steps: Annotated[int, "training steps"] = 3000
    batch_size: Annotated[int, "windows in a step"] = 128
    lr: Annotated[float, "highest learning rate"] = 2e-3
    weight_decay: Annotated[float, "weight decay"] = 1e-2
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 1.0
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.05
    average_decay: Annotated[float, "decay of the average of weights, which is released"] = 0.995
    validate_every: Annotated[int, "steps between validations"] = 300
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    num_validation: Annotated[int, "generated windows of a validation"] = 512
    num_test: Annotated[int, "generated windows of the evaluation and of the gate"] = 2000
    margin: Annotated[float, "percent of seasonal-naive's pinball loss that a released variant may lose"] = 0.5
    num_calibration: Annotated[int, "training windows that quantization is calibrated with"] = 256
    num_examples: Annotated[int, "test windows that a release carries as examples"] = 16
    max_rows: Annotated[int, "most histories in a served batch"] = 64

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=(*_SIZES, *_COUNTS, "steps", "lr", "validate_every", "margin", "average_decay"),
            not_negative=("weight_decay", "clip_norm", "max_threads"),
            fractions=("dropout", "generated_fraction", "warmup_fraction", "average_decay", "teacher_weight"),
        )
        mirrored = tuple(round(1 - level, 6) for level in reversed(self.levels))
        if len(self.levels) % 2 == 0 or mirrored != tuple(round(level, 6) for level in self.levels):
            raise ValueError(f"levels must be an odd number of rising levels, symmetric around 0.5, got {self.levels}")
        if len({quantile_name(level) for level in self.levels}) < len(self.levels) or list(self.levels) != sorted(
            self.levels
        ):
            raise ValueError(f"levels must rise by 0.01 at least, got {self.levels}")
        if self.context % self.patch:
            raise ValueError(f"context={self.context} must be a multiple of patch={self.patch}")
        longest = max(*self.periods, self.period)
        if min(self.periods) < 2 or 2 * longest > self.context:
            raise ValueError(f"a season has 2 steps or more and comes twice in the context, got {longest} steps")
        if self.width % (2 * self.num_heads):
            raise ValueError(f"width={self.width} must be even and divisible by num_heads={self.num_heads}")


def quantile_name(level: float) -> str:
    """Name the output of a level: 0.1 is `q10`."""
    return f"q{round(100 * level):02d}"


FULL = Recipe()
DEMO = replace(
    FULL,
    steps=500,
    batch_size=64,
    validate_every=250,
    average_decay=0.98,
    num_validation=256,
    num_test=1000,
    max_threads=1,
)
# Few, because 12 series are soon known by heart: with 600 steps the intervals are too narrow already.
BUNDLED = replace(FULL, data="bundled", steps=600, batch_size=64, max_threads=1)

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL, "bundled": BUNDLED}
