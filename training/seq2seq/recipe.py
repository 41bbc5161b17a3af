"""The recipes of what translates and what summarizes.

Everything a run depends on is a field of `Recipe`; `train seq2seq --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.engine.bounds import check_bounds
from training.engine.device import Precision

Task = Literal["translation", "summary"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one translator or summarizer is made."""

    task: Annotated[Task, "what is written of a text; measured by BLEU or by ROUGE-L"] = "translation"
    network: Annotated[Literal["transformer", "rnn", "lstm", "gru"], "which network"] = "transformer"
    width: Annotated[int, "features of a piece"] = 128
    num_layers: Annotated[int, "layers on either side"] = 4
    num_heads: Annotated[int, "heads of the Transformer's attention"] = 4
    hidden: Annotated[int, "hidden features of the Transformer's feed-forward layers"] = 256
    pre_norm: Annotated[bool, "normalize in front of the Transformer's layers, not behind them"] = True
    attention: Annotated[Literal["additive", "multiplicative"], "attention of the recurrent networks"] = "additive"
    dropout: Annotated[float, "share of features left out in training"] = 0.25

    teacher: Annotated[str | None, "finished run whose translations of the training sentences are learned"] = None

    data: Annotated[str, "data set where --data is not given"] = "multi30k:multi30k"
    num_validation: Annotated[int, "sentence pairs for validation, at most a tenth of text:SRC,TGT"] = 1000
    vocabulary_size: Annotated[int, "subword pieces of both languages together"] = 8000
    lowercase: Annotated[bool, "fold text to lower case"] = True
    max_pieces: Annotated[int, "most pieces of a source sentence; a translation may have twice as many"] = 256

    epochs: Annotated[float, "passes through the training pairs"] = 80.0
    tokens_per_batch: Annotated[int, "pieces in a step, on the longer side, padding included"] = 4096
    accumulation: Annotated[int, "parts of a step's batch that are worked through one after another"] = 1
    recompute: Annotated[bool, "compute the Transformer's activations again in the backward pass, to hold fewer"] = (
        False
    )
    lr: Annotated[float, "highest learning rate"] = 2e-3
    warmup_steps: Annotated[int, "steps over which the learning rate rises"] = 1000
    cooldown_fraction: Annotated[float, "share of the steps, at the end, over which it falls to nothing"] = 0.25
    weight_decay: Annotated[float, "weight decay"] = 0.0
    label_smoothing: Annotated[float, "share of the target that is spread over all pieces"] = 0.1
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 0.0
    average_decay: Annotated[float, "decay of the average of weights, which is released; 0: none"] = 0.999
    sampling: Annotated[float, "rate of scheduled sampling at the end of the training; recurrent networks only"] = 0.0
    precision: Annotated[Precision, "arithmetic; auto is bf16 where the device multiplies it"] = "auto"
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    beam_size: Annotated[int, "beams of a search where a request does not say"] = 5
    max_beam_size: Annotated[int, "most beams that a request may ask for"] = 8
    length_penalty: Annotated[float, "power of the length by which scores are divided"] = 1.0
    margin: Annotated[float, "how much of the measure, 0 to 100, a released variant may lose"] = 0.3
    max_rows: Annotated[int, "most sentences in a served batch"] = 64

    def __post_init__(self) -> None:
        sizes = ("width", "num_layers", "num_heads", "hidden", "num_validation", "max_pieces", "epochs", "lr")
        check_bounds(
            self,
            positive=(*sizes, "tokens_per_batch", "accumulation", "warmup_steps", "beam_size", "margin", "max_rows"),
            not_negative=("weight_decay", "clip_norm", "length_penalty", "max_threads"),
            fractions=("dropout", "cooldown_fraction", "label_smoothing", "average_decay", "sampling"),
        )
        if self.sampling and self.network == "transformer":
            raise ValueError("sampling is for networks that write piece by piece: rnn, lstm and gru")
        if self.recompute and self.network != "transformer":
            raise ValueError(f"recompute is for the Transformer's layers, and network is {self.network}")
        if self.beam_size > self.max_beam_size:
            raise ValueError(f"beam_size={self.beam_size} is above max_beam_size={self.max_beam_size}")


# Many small steps with a long cool-down: a third of the processor time that eight epochs in steps of 2,048 pieces take.
# One thread: two take 14 times the processor time for a step beside other work, and 20 times as long.
DEMO = Recipe(
    data="phrases",
    vocabulary_size=1024,
    lowercase=False,
    max_pieces=64,
    num_layers=2,
    dropout=0.0,
    num_validation=500,
    epochs=3,
    tokens_per_batch=512,
    lr=5e-3,
    warmup_steps=200,
    cooldown_fraction=0.7,
    average_decay=0.99,
    max_threads=1,
    beam_size=1,
    margin=1.0,
)
FULL = Recipe()
# A summary takes its words from far apart: narrower, but as deep as the demo.
SUMMARY_DEMO = replace(
    DEMO,
    task="summary",
    data="reports",
    vocabulary_size=900,
    max_pieces=160,
    num_validation=400,
    width=64,
    hidden=128,
    epochs=2,
    tokens_per_batch=1024,
)

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL, "summary-demo": SUMMARY_DEMO}
