"""The anomaly detector's recipes.

Everything a run depends on is a field of `Recipe`; `train anomaly_detector --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from training.engine.bounds import check_bounds

_SIZES = ("width", "depth", "code_channels", "batch_size", "num_samples", "rate_hz")
_COUNTS = ("num_train", "num_validation", "num_test", "num_calibration", "num_examples", "max_rows")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one anomaly detector is made."""

    width: Annotated[int, "channels at the full rate; each halving has twice as many"] = 16
    depth: Annotated[int, "halvings of the rate on the way to the code"] = 4
    code_channels: Annotated[int, "values of the code for every 2^depth samples"] = 2

    data: Annotated[str, "data set where --data is not given"] = "generated"
    usual: Annotated[str, "label of the usual signals, the only ones trained on; all other labels are unusual"] = (
        "normal"
    )
    rate_hz: Annotated[float, "samples in a second: of generated signals, and for the features of the baseline"] = 125.0
    num_samples: Annotated[int, "samples of a generated signal"] = 512
    snr_db: Annotated[
        tuple[float, float], "lowest and highest power of generated signals above their disturbances', in decibels"
    ] = (15.0, 25.0)
    num_train: Annotated[int, "generated usual signals to train on, each of a patient of its own"] = 12_000
    num_validation: Annotated[int, "generated usual signals of other patients, which also set the threshold"] = 1000
    num_test: Annotated[int, "generated signals of the evaluation and of the gate, every second one unusual"] = 3000
    validation_fraction: Annotated[float, "share of the recorded training signals that validates"] = 0.1

    steps: Annotated[int, "training steps"] = 2000
    batch_size: Annotated[int, "signals in a step"] = 64
    lr: Annotated[float, "highest learning rate"] = 5e-3
    weight_decay: Annotated[float, "weight decay"] = 1e-2
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 1.0
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.1
    average_decay: Annotated[float, "decay of the average of weights, which is released"] = 0.99
    validate_every: Annotated[int, "steps between validations"] = 200
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    usual_share: Annotated[float, "share of usual signals that shall not be called unusual"] = 0.95
    margin: Annotated[float, "area under the curve that a released variant may lose"] = 0.01
    num_calibration: Annotated[int, "training signals that quantization is calibrated with"] = 256
    num_examples: Annotated[int, "test signals that a release carries as examples"] = 16
    max_rows: Annotated[int, "most signals in a served batch"] = 64

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=(*_SIZES, *_COUNTS, "steps", "lr", "validate_every", "margin", "average_decay"),
            not_negative=("weight_decay", "clip_norm", "max_threads"),
            fractions=("warmup_fraction", "average_decay", "validation_fraction", "usual_share"),
        )
        if len(self.snr_db) != 2 or self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db is the lowest and the highest in decibels, got {self.snr_db}")


FULL = Recipe()
DEMO = replace(
    FULL,
    width=8,
    num_train=3000,
    num_validation=500,
    num_test=1000,
    steps=300,
    batch_size=32,
    average_decay=0.98,
    validate_every=75,
    max_threads=1,
)

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL}
