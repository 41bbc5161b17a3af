"""The signal classifier's recipes.

Everything a run depends on is a field of `Recipe`; `train signal_classifier --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from training.engine.bounds import check_bounds
from training.sequences.patch_encoders import NetworkName

_SIZES = ("patch", "width", "num_layers", "num_heads", "features", "batch_size", "num_samples", "rate_hz")
_COUNTS = ("num_train", "num_validation", "num_test", "num_calibration", "num_examples", "max_rows")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one signal classifier is made."""

    network: Annotated[NetworkName, "which network"] = "cnn"
    patch: Annotated[int, "samples that enter the network together"] = 4
    width: Annotated[int, "features of a patch inside the network"] = 64
    num_layers: Annotated[int, "layers of the network"] = 6
    num_heads: Annotated[int, "heads of the transformer's attention"] = 4
    features: Annotated[int, "features of a whole signal"] = 128
    dropout: Annotated[float, "share of features left out in training"] = 0.1

    data: Annotated[str, "data set where --data is not given"] = "generated"
    rate_hz: Annotated[float, "samples in a second: of generated signals, and for the features of the baseline"] = 125.0
    num_samples: Annotated[int, "samples of a generated signal"] = 512
    snr_db: Annotated[
        tuple[float, float], "lowest and highest power of generated signals above their disturbances', in decibels"
    ] = (0.0, 20.0)
    num_train: Annotated[int, "generated signals to train on, each of a patient of its own"] = 24_000
    num_validation: Annotated[int, "generated signals of a validation, of other patients"] = 1000
    num_test: Annotated[int, "generated signals of the evaluation and of the gate, of other patients again"] = 3000
    validation_fraction: Annotated[float, "share of the recorded training signals that validates"] = 0.1

    steps: Annotated[int, "training steps"] = 3000
    batch_size: Annotated[int, "signals in a step"] = 64
    lr: Annotated[float, "highest learning rate"] = 2e-3
    weight_decay: Annotated[float, "weight decay"] = 1e-2
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 1.0
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.1
    label_smoothing: Annotated[float, "share of the target that is spread over all labels"] = 0.0
    average_decay: Annotated[float, "decay of the average of weights, which is released; 0: none"] = 0.99
    validate_every: Annotated[int, "steps between validations"] = 300
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    margin: Annotated[float, "accuracy that a released variant may lose, as a share"] = 0.005
    num_calibration: Annotated[int, "training signals that quantization is calibrated with"] = 256
    num_examples: Annotated[int, "test signals that a release carries as examples"] = 16
    max_rows: Annotated[int, "most signals in a served batch"] = 64

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=(*_SIZES, *_COUNTS, "steps", "lr", "validate_every", "margin", "validation_fraction"),
            not_negative=("weight_decay", "clip_norm", "max_threads"),
            fractions=("dropout", "warmup_fraction", "label_smoothing", "average_decay", "validation_fraction"),
        )
        if self.width % (2 * self.num_heads):
            raise ValueError(f"width={self.width} must be even and divisible by num_heads={self.num_heads}")
        if len(self.snr_db) != 2 or self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db is the lowest and the highest in decibels, got {self.snr_db}")


FULL = Recipe()
DEMO = replace(
    FULL,
    patch=8,
    width=32,
    num_train=6000,
    num_validation=500,
    num_test=2000,
    steps=500,
    lr=3e-3,
    validate_every=200,
    max_threads=1,
)

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL}
