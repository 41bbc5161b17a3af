"""The recipes of CSI feedback.

Everything a run depends on is a field of `Recipe`; `train csi_feedback --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.engine.bounds import check_bounds
from training.engine.normalization import NormalizationName

Network = Literal["sparse", "transformer", "csinet"]
Start = Literal["principal", "random"]
_SIZES = ("num_taps", "num_antennas", "compression", "width", "num_layers", "num_heads", "batch_size", "max_rows")
_COUNTS = ("num_fit", "num_validation", "num_test", "num_calibration", "num_examples", "steps", "validate_every")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one pair of encoder and decoder is made."""

    network: Annotated[Network, "which networks"] = "sparse"
    start: Annotated[Start, "what the dense layers of a transformer begin as: principal components, or random"] = (
        "principal"
    )
    normalization: Annotated[NormalizationName, "of CsiNet's feature maps"] = "batch"
    compression: Annotated[int, "values of a channel for each value of its codeword"] = 16
    code_bits: Annotated[int, "bits of a dense codeword's value, at most 8; 0 leaves float32"] = 0
    width: Annotated[int, "features of a delay tap inside a transformer"] = 64
    num_layers: Annotated[int, "layers on each side of a transformer"] = 2
    num_heads: Annotated[int, "heads of a transformer's attention"] = 4

    data: Annotated[str, "data set where --data is not given"] = "indoor"
    num_taps: Annotated[int, "delay taps that are kept of a channel"] = 32
    num_antennas: Annotated[int, "antennas of the base station"] = 32

    steps: Annotated[int, "training steps"] = 6000
    batch_size: Annotated[int, "channels in a step"] = 200
    lr: Annotated[float, "highest learning rate"] = 1e-3
    weight_decay: Annotated[float, "weight decay"] = 0.0
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 1.0
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.05
    average_decay: Annotated[float, "decay of the average of weights, which is released"] = 0.99
    validate_every: Annotated[int, "steps between validations"] = 500
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    num_fit: Annotated[int, "training channels that principal components are found in"] = 8000
    num_validation: Annotated[int, "generated channels of a validation"] = 500
    num_test: Annotated[int, "generated channels of the evaluation and of the gate"] = 2000
    margin: Annotated[float, "dB of NMSE that a released variant may lose"] = 0.2
    num_calibration: Annotated[int, "training channels that quantization is calibrated with"] = 256
    num_examples: Annotated[int, "test channels that a release carries as examples"] = 16
    max_rows: Annotated[int, "most channels in a served batch"] = 64

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=(*_SIZES, *_COUNTS, "lr", "margin", "average_decay"),
            not_negative=("weight_decay", "clip_norm", "max_threads", "code_bits"),
            fractions=("warmup_fraction", "average_decay"),
        )
        if self.code_bits > 8:
            raise ValueError(f"code_bits={self.code_bits}: a value of a codeword is served in 8 bits at most")
        if self.code_bits and self.network == "sparse":
            raise ValueError("network=sparse sends places, which cannot be rounded: set code_bits=0 or another network")
        if self.num_values % (2 * self.compression):
            raise ValueError(
                f"compression={self.compression} must divide the {self.num_values // 2} complex entries of a channel"
            )
        if self.width % (2 * self.num_heads):
            raise ValueError(f"width={self.width} must be even and divisible by num_heads={self.num_heads}")

    @property
    def num_values(self) -> int:
        """Real values of a channel."""
        return 2 * self.num_taps * self.num_antennas

    @property
    def code_size(self) -> int:
        """Values of a codeword."""
        return self.num_values // self.compression


FULL = Recipe()
DEMO = replace(
    FULL,
    steps=400,
    batch_size=64,
    validate_every=200,
    average_decay=0.98,
    num_fit=4000,
    num_validation=256,
    num_test=1000,
    max_threads=1,
)
TRANSFORMER = replace(FULL, network="transformer")
CSINET = replace(FULL, network="csinet", start="random")

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL, "transformer": TRANSFORMER, "csinet": CSINET}
