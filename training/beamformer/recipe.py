"""The beamformer's recipes.

Everything a run depends on is a field of `Recipe`; `train beamformer --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.engine.bounds import check_bounds

Normalization = Literal["complex", "batch", "layer", "group", "instance"]
Network = Literal["unrolled", "unet", "residual-encoder", "complex-cnn"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one beamformer is made.

    The thesis's networks have neither gates nor hybrid heads. Some training channels are clean, because a network that
    saw only noise would do harm.
    """

    network: Annotated[Network, "ours, a U-Net as its denoiser, or one of the thesis's two"] = "unrolled"
    normalization: Annotated[
        Normalization, "of complex-cnn (both parts together, or each as a channel) and unet (not complex)"
    ] = "complex"
    unet_width: Annotated[int, "channels of unet's highest level"] = 8
    gates: Annotated[tuple[str, ...], "gate of each stage: none, separable, cell, joint"] = ("separable", "joint")
    num_first_sweeps: Annotated[int, "sweeps of the first stage's filter"] = 1
    num_hidden: Annotated[int, "hidden channels of a gate"] = 8
    num_phase_sweeps: Annotated[int, "unrolled sweeps of the hybrid heads"] = 8

    data: Annotated[str, "data set where --data is not given"] = "generated"
    num_clusters: Annotated[int, "clusters of a generated channel"] = 5
    rays_per_cluster: Annotated[int, "paths of a cluster"] = 10
    spread_deg: Annotated[float, "angular spread of a cluster, in degrees"] = 10.0
    csi_snr_db: Annotated[tuple[float, ...], "lowest and highest CSI SNR of training channels, in dB"] = (-17.0, 8.0)
    clean_csi_snr_db: Annotated[tuple[float, ...], "the same for clean channels, in dB"] = (8.0, 35.0)
    clean_fraction: Annotated[float, "share of training channels that are clean"] = 0.15
    known_fraction: Annotated[float, "share of training channels that come with their CSI SNR told"] = 0.85

    loss: Annotated[Literal["rate", "mse"], "spectral efficiency lost, or squared error"] = "rate"
    steps: Annotated[int, "training steps"] = 4000
    batch_size: Annotated[int, "channels in a step"] = 12
    lr: Annotated[float, "highest learning rate"] = 4e-3
    weight_decay: Annotated[float, "weight decay"] = 1e-4
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 1.0
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.02
    average_decay: Annotated[float, "decay of the average of weights, which is released; 0: none"] = 0.998
    validate_every: Annotated[int, "steps between validations"] = 500
    num_validation: Annotated[int, "channels of a validation"] = 96
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    num_test: Annotated[int, "test channels of the evaluation"] = 1000
    num_released_test: Annotated[int, "test channels of the gate"] = 512
    margin: Annotated[float, "percent of the optimal spectral efficiency that a released variant may lose"] = 0.3
    num_examples: Annotated[int, "test channels that a release carries as examples"] = 16
    max_rows: Annotated[int, "most channels in a served batch"] = 64

    def __post_init__(self) -> None:
        sizes = ("num_first_sweeps", "num_hidden", "num_phase_sweeps", "unet_width", "max_rows", "num_examples")
        counts = ("num_validation", "num_test", "num_released_test")
        check_bounds(
            self,
            positive=(*sizes, *counts, "batch_size", "steps", "lr", "validate_every", "margin"),
            not_negative=("weight_decay", "clip_norm", "max_threads"),
            fractions=("warmup_fraction", "average_decay"),
        )
        if self.network == "unet" and self.normalization == "complex":
            raise ValueError("unet has real feature maps: set normalization to batch, layer, group or instance")
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
    max_threads=1,
    average_decay=0.9,
    num_test=24,
    num_released_test=128,
)
NO_GATE = replace(FULL, gates=("none", "none"))
ONE_STAGE = replace(FULL, gates=("joint",))
SQUARED_ERROR = replace(FULL, loss="mse")
UNET = replace(FULL, network="unet", normalization="group", lr=1e-2)
RESIDUAL_ENCODER = replace(FULL, network="residual-encoder", lr=1e-3)
COMPLEX_CNN = replace(FULL, network="complex-cnn", lr=1e-3)

PRESETS: dict[str, Recipe] = {
    "demo": DEMO,
    "full": FULL,
    "no-gate": NO_GATE,
    "one-stage": ONE_STAGE,
    "squared-error": SQUARED_ERROR,
    "unet": UNET,
    "residual-encoder": RESIDUAL_ENCODER,
    "complex-cnn": COMPLEX_CNN,
}
