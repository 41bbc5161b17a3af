"""The segmenter's recipes.

Everything a run depends on is a field of `Recipe`; `train segmenter --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.engine.bounds import check_bounds

Tasks = Literal["both", "mask", "label"]
Weighting = Literal["uncertainty", "fixed"]
_SIZES = ("width", "depth", "resolution", "batch_size", "steps", "validate_every", "max_rows")
_COUNTS = ("num_validation", "num_test", "num_calibration", "num_examples")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one segmenter is made."""

    width: Annotated[int, "channels at full resolution; each level below has twice as many"] = 16
    depth: Annotated[int, "how often the resolution is halved"] = 3
    skips: Annotated[bool, "hand each level's features across to the way up, as a U-Net does"] = True

    start_from: Annotated[str | None, "finished run of the same network whose weights training starts from"] = None
    pruned_fraction: Annotated[float, "share of the channels of start_from that are removed first"] = 0.0

    tasks: Annotated[Tasks, "what is learned: the mask, the class of the whole image, or both"] = "both"
    weighting: Annotated[Weighting, "how losses are added: by learned uncertainty, or as label_weight says"] = (
        "uncertainty"
    )
    label_weight: Annotated[float, "with fixed weighting: weight of the label's loss beside the mask's"] = 1.0
    dice_weight: Annotated[float, "weight of the Dice loss beside the cross-entropy of the mask"] = 1.0

    data: Annotated[str, "data set where --data is not given"] = "shapes"
    resolution: Annotated[int, "side of the square images, in pixels"] = 48
    flip: Annotated[bool, "mirror half of the training images of a folder"] = True
    validation_fraction: Annotated[float, "share of a folder's training images that validates"] = 0.1

    steps: Annotated[int, "training steps"] = 2000
    batch_size: Annotated[int, "images in a step"] = 32
    lr: Annotated[float, "highest learning rate"] = 3e-3
    weight_decay: Annotated[float, "weight decay"] = 1e-2
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 1.0
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.1
    average_decay: Annotated[float, "decay of the average of weights, which is released"] = 0.99
    validate_every: Annotated[int, "steps between validations"] = 200
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    num_validation: Annotated[int, "generated images of a validation"] = 256
    num_test: Annotated[int, "generated images of the evaluation and of the gate"] = 1000
    margin: Annotated[float, "what a released variant may lose of its score, as a share"] = 0.005
    num_calibration: Annotated[int, "training images that quantization is calibrated with"] = 128
    num_examples: Annotated[int, "test images that a release carries as examples"] = 16
    max_rows: Annotated[int, "most images in a served batch"] = 32

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=(*_SIZES, *_COUNTS, "lr", "margin", "average_decay"),
            not_negative=("weight_decay", "clip_norm", "max_threads", "label_weight", "dice_weight"),
            fractions=("warmup_fraction", "average_decay", "validation_fraction", "pruned_fraction"),
        )
        if self.pruned_fraction and self.start_from is None:
            raise ValueError("pruned_fraction removes channels of a trained network: set start_from to a finished run")
        if self.resolution % 2**self.depth:
            raise ValueError(
                f"resolution={self.resolution} is halved depth={self.depth} times: take a multiple of {2**self.depth}"
            )


FULL = Recipe()
DEMO = replace(
    FULL,
    width=8,
    resolution=32,
    steps=700,
    batch_size=16,
    lr=5e-3,
    validate_every=175,
    average_decay=0.98,
    num_validation=128,
    max_threads=1,
)

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL}
