"""The recipes of what draws captions.

Everything a run depends on is a field of `Recipe`; `train text_to_image --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.engine.bounds import check_bounds
from training.images.adversarial_losses import LossName

Reading = Literal["words", "sentence"]
_SIZES = ("resolution", "num_scenes", "vocabulary_size", "max_pieces", "text_width", "text_layers", "match_size")
_STEPS = ("latent_size", "steps", "batch_size", "validate_every", "judge_steps", "judge_batch_size", "num_candidates")
_RATES = ("lr", "discriminator_lr", "judge_lr", "average_decay", "margin")
_COUNTS = ("num_held_out", "num_examples", "max_rows", "judge_width", "judge_depth")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one network that draws captions is made; `reads=sentence` is the same without attention to words."""

    reads: Annotated[Reading, "what of a caption it sees: each word where it draws, or the whole alone"] = "words"
    latent_size: Annotated[int, "values in a latent vector"] = 32
    widths: Annotated[tuple[int, ...], "its channels from 4×4 upwards"] = (128, 96, 64)
    discriminator_widths: Annotated[tuple[int, ...], "the other's from the image downwards"] = (48, 96, 128)
    loss: Annotated[LossName, "what the two players minimize"] = "hinge"
    match_weight: Annotated[float, "weight of drawing what the teacher finds in the caption; 0 leaves it out"] = 2.0
    variety_weight: Annotated[float, "weight of drawing one caption differently from other latents; 0: none"] = 0.05

    data: Annotated[str, "data set where --data is not given"] = "scenes"
    resolution: Annotated[int, "side of images in pixels"] = 32
    num_scenes: Annotated[int, "scenes composed to train on, where they are composed"] = 20_000
    validation_fraction: Annotated[float, "share of the training images of a folder that validates"] = 0.05
    vocabulary_size: Annotated[int, "subword pieces, of which 256 are bytes"] = 380
    max_pieces: Annotated[int, "pieces of a caption that are read, the end sign included"] = 16
    text_width: Annotated[int, "features of a piece"] = 64
    text_layers: Annotated[int, "layers of the Transformer that reads captions"] = 1
    match_size: Annotated[int, "values in which images and captions are compared"] = 64

    steps: Annotated[int, "training steps"] = 6000
    batch_size: Annotated[int, "images in a step"] = 48
    lr: Annotated[float, "highest learning rate of what draws"] = 5e-4
    discriminator_lr: Annotated[float, "highest learning rate of the discriminator"] = 5e-4
    beta1: Annotated[float, "decay of Adam's mean gradient"] = 0.5
    average_decay: Annotated[float, "decay of the average of weights, which is released"] = 0.995
    validate_every: Annotated[int, "steps between validations"] = 1000
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    jury: Annotated[str, "finished run whose teacher, judge and reader serve; empty: they are trained first"] = ""
    judge_width: Annotated[int, "their channels at full resolution; each level below has twice as many"] = 16
    judge_depth: Annotated[int, "how often they halve the resolution"] = 3
    judge_steps: Annotated[int, "training steps of each"] = 1500
    judge_batch_size: Annotated[int, "images in such a step"] = 64
    judge_lr: Annotated[float, "highest learning rate of each"] = 2e-3
    num_candidates: Annotated[int, "captions among which the judge looks for an image's own"] = 100

    margin: Annotated[float, "R-precision that a released variant may lose"] = 0.02
    num_held_out: Annotated[int, "captions that the gate looks at"] = 1000
    num_examples: Annotated[int, "captions that a release carries as examples"] = 16
    max_rows: Annotated[int, "most images in a served batch"] = 32

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=(*_SIZES, *_STEPS, *_RATES, *_COUNTS),
            not_negative=("match_weight", "variety_weight", "max_threads"),
            fractions=("validation_fraction", "beta1", "average_decay"),
        )


FULL = Recipe()
# One thing a scene at a quarter of the pixels: some 90 s of two threads, half of it for those who judge.
DEMO = replace(
    FULL,
    data="things",
    resolution=16,
    widths=(64, 32),
    discriminator_widths=(32, 64),
    num_scenes=8000,
    vocabulary_size=340,
    max_pieces=10,
    steps=700,
    lr=1e-3,
    discriminator_lr=1e-3,
    batch_size=32,
    validate_every=200,
    judge_depth=2,
    judge_steps=300,
    judge_lr=3e-3,
    judge_batch_size=48,
    average_decay=0.99,
    max_threads=2,
)
PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL, "sentence": replace(DEMO, reads="sentence")}
