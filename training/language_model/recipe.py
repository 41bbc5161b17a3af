"""The language model's recipes.

Everything a run depends on is a field of `Recipe`; `train language_model --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from training.engine.bounds import check_bounds

_SIZES = ("width", "num_layers", "num_heads", "context", "batch_size", "num_windows", "num_validation")
_SERVED = ("num_examples", "num_candidates", "max_tokens", "max_rows")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one language model is made."""

    weights: Annotated[str | None, "folder of a GPT-2 to begin with, which sets sizes and vocabulary"] = None
    width: Annotated[int, "features of a piece"] = 96
    num_layers: Annotated[int, "layers"] = 2
    num_heads: Annotated[int, "heads of the attention"] = 2
    context: Annotated[int, "most pieces that the network sees, the beginning included"] = 128
    dropout: Annotated[float, "share of features left out in training"] = 0.0

    data: Annotated[str, "data set where --data is not given"] = "docstrings"
    vocabulary_size: Annotated[int, "subword pieces; 0: characters"] = 1000

    steps: Annotated[int, "training steps; 0 leaves weights as they are"] = 3000
    batch_size: Annotated[int, "windows of a whole context in a step"] = 8
    accumulation: Annotated[int, "parts of a step's batch that are worked through one after another"] = 1
    recompute: Annotated[bool, "compute layers' activations again in the backward pass, to hold fewer"] = False
    lr: Annotated[float, "highest learning rate of Adam"] = 1e-2
    matrix_lr: Annotated[
        float, "highest learning rate of Muon, which has the layers' matrices unless they were loaded; 0: Adam has them"
    ] = 0.06
    weight_decay: Annotated[float, "weight decay"] = 1e-2
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 1.0
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.05
    average_decay: Annotated[float, "decay of the average of weights, which is released"] = 0.995
    validate_every: Annotated[int, "steps between validations"] = 500
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    num_validation: Annotated[int, "most windows of a validation"] = 100
    num_windows: Annotated[int, "most test windows of the evaluation and of the gate"] = 300
    margin: Annotated[float, "bits per character that a released variant may lose"] = 0.01
    num_examples: Annotated[int, "beginnings of test windows that a release carries as examples"] = 16
    num_candidates: Annotated[int, "most pieces among which a served model chooses the next one"] = 1024
    max_tokens: Annotated[int, "pieces to write where a request does not say"] = 64
    max_rows: Annotated[int, "most texts in a served batch"] = 32

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=(*_SIZES, *_SERVED, "accumulation", "lr", "validate_every", "margin", "average_decay"),
            not_negative=("vocabulary_size", "steps", "matrix_lr", "weight_decay", "clip_norm", "max_threads"),
            fractions=("dropout", "warmup_fraction", "average_decay"),
        )
        if self.width % self.num_heads:
            raise ValueError(f"width={self.width} must be divisible by num_heads={self.num_heads}")
        if self.context % 2 or self.context < 4:
            raise ValueError(f"context={self.context} must be even, 4 or more: its second half is what is measured")
        if not self.steps and self.weights is None:
            raise ValueError("steps=0 trains nothing: give weights to begin with, or some steps")


FULL = Recipe()
DEMO = replace(
    FULL,
    data="manual",
    context=64,
    vocabulary_size=600,
    steps=1900,
    average_decay=0.98,
    validate_every=200,
    max_threads=1,
    num_validation=60,
    num_windows=200,
    max_tokens=48,
)
CHARACTERS = replace(FULL, vocabulary_size=0, context=256)

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL, "characters": CHARACTERS}
