"""The image translator's recipes.

Everything a run depends on is a field of `Recipe`; `train image_translator --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.engine.bounds import check_bounds
from training.images.adversarial_losses import LossName

Method = Literal["paired", "cycle"]
Change = Literal["edges", "grey"]
_SIZES = ("width", "depth", "patch_width", "batch_size", "steps", "validate_every", "max_rows")
_RATES = ("lr", "discriminator_lr", "average_decay", "judge_epochs", "margin_share")
_COUNTS = ("num_components", "num_calibration", "num_examples")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one image translator is made; an adversarial_weight of 0 leaves the discriminator out, that is L1 alone."""

    method: Annotated[Method, "learn from pairs, or from two heaps of images that nobody has paired"] = "paired"
    width: Annotated[int, "channels at full resolution; each level below has twice as many"] = 32
    depth: Annotated[int, "how often the resolution is halved"] = 3
    norm: Annotated[Literal["batch", "instance"], "the network's normalization"] = "batch"
    patch_width: Annotated[int, "channels of the discriminator's first layer, twice as many in each after it"] = 32
    patch_depth: Annotated[int, "how often the discriminator halves: its scores are each about a larger patch"] = 2
    loss: Annotated[LossName, "what the two players minimize"] = "non-saturating"
    adversarial_weight: Annotated[float, "weight of deceiving the discriminator; 0 leaves it out"] = 1.0
    l1_weight: Annotated[float, "weight of the mean absolute error, of pairs"] = 100.0
    cycle_weight: Annotated[float, "weight of coming back to the image that one began with, without pairs"] = 10.0
    identity_weight: Annotated[float, "weight of leaving images alone that are in the wanted style already"] = 5.0
    buffer_size: Annotated[int, "earlier images that a discriminator without pairs is shown too; 0: none"] = 50

    data: Annotated[str, "data set where --data is not given"] = "painted"
    change: Annotated[Change, "what is left of an image to translate it from, where the data are single images"] = (
        "edges"
    )
    direction: Annotated[Literal["forward", "back"], "which way; back: from targets to sources"] = "forward"
    resolution: Annotated[int, "side in pixels to which images are resized; 0 keeps their own size"] = 32
    flip: Annotated[bool, "mirror half of the training images"] = False
    validation_fraction: Annotated[float, "share of the training images that validates, of many at least 50"] = 0.1

    steps: Annotated[int, "training steps"] = 6000
    batch_size: Annotated[int, "images in a step"] = 16
    lr: Annotated[float, "highest learning rate of the translators"] = 5e-4
    discriminator_lr: Annotated[float, "highest learning rate of the discriminators"] = 2e-4
    beta1: Annotated[float, "decay of Adam's mean gradient"] = 0.5
    average_decay: Annotated[float, "decay of the average of weights, which is released"] = 0.99
    validate_every: Annotated[int, "steps between validations"] = 500
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    judge: Annotated[str, "finished classifier run on the same targets; empty: one is trained first"] = ""
    judge_preset: Annotated[Literal["demo", "full"], "preset of the classifier that is trained"] = "demo"
    judge_epochs: Annotated[float, "epochs of the judge that is trained"] = 6.0
    inception_weights: Annotated[str, "torchvision's InceptionV3, to see distances in the judge's place"] = ""

    margin_share: Annotated[float, "share of its distance or error that a released variant may lose"] = 0.05
    num_components: Annotated[int, "principal components that distances are about"] = 32
    num_calibration: Annotated[int, "training images that quantization is calibrated with"] = 128
    num_examples: Annotated[int, "test images that a release carries as examples"] = 16
    max_rows: Annotated[int, "most images in a served batch"] = 32

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=(*_SIZES, *_RATES, *_COUNTS),
            not_negative=(
                *("patch_depth", "adversarial_weight", "l1_weight", "cycle_weight", "identity_weight"),
                *("buffer_size", "resolution", "max_threads"),
            ),
            fractions=("validation_fraction", "beta1", "average_decay"),
        )
        if self.method == "paired" and not self.adversarial_weight and not self.l1_weight:
            raise ValueError("l1_weight and adversarial_weight are both 0: there is nothing to learn from pairs")
        if self.method == "cycle" and not self.adversarial_weight:
            raise ValueError("adversarial_weight is 0: without pairs nothing else says what the wanted style is")


FULL = Recipe()
DEMO = replace(
    FULL,
    width=16,
    patch_width=16,
    resolution=16,
    l1_weight=30.0,
    steps=600,
    lr=2e-3,
    discriminator_lr=1e-3,
    validate_every=200,
    judge_epochs=4.0,
    max_threads=1,
)
COLOURISER = replace(DEMO, change="grey")
L1 = replace(DEMO, adversarial_weight=0.0)
CYCLEGAN = replace(DEMO, method="cycle", norm="instance", loss="least-squares", change="grey")

PRESETS: dict[str, Recipe] = {
    "demo": DEMO,
    "full": FULL,
    "l1": L1,
    "colouriser": COLOURISER,
    "cyclegan": CYCLEGAN,
}
