"""The translator's recipes, and what the command line and `release` ask of this model.

Everything a run depends on is a field of `Recipe`; `train seq2seq --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.engine.bounds import check_bounds
from training.engine.options import TrainOptions
from training.release.spec import ReleaseSpec


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one translator is made. `max_pieces` bounds a source sentence; a translation may have twice as many."""

    network: Literal["transformer", "rnn", "lstm", "gru"] = "transformer"
    width: int = 128
    num_layers: int = 4
    num_heads: int = 4
    hidden: int = 256
    pre_norm: bool = True
    attention: Literal["additive", "multiplicative"] = "additive"
    dropout: float = 0.25

    data: str = "multi30k:multi30k"
    num_validation: int = 1000
    vocabulary_size: int = 8000
    lowercase: bool = True
    max_pieces: int = 256

    epochs: float = 80.0
    tokens_per_batch: int = 4096
    lr: float = 2e-3
    warmup_steps: int = 1000
    cooldown_fraction: float = 0.25
    weight_decay: float = 0.0
    label_smoothing: float = 0.1
    clip_norm: float = 0.0
    average_decay: float = 0.999
    sampling: float = 0.0  # scheduled sampling's rate at the end of the training; recurrent networks only
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    beam_size: int = 5
    max_beam_size: int = 8
    length_penalty: float = 1.0
    margin: float = 0.3
    max_rows: int = 64

    def __post_init__(self) -> None:
        sizes = ("width", "num_layers", "num_heads", "hidden", "num_validation", "max_pieces", "epochs", "lr")
        check_bounds(
            self,
            positive=(*sizes, "tokens_per_batch", "warmup_steps", "beam_size", "margin", "max_rows"),
            not_negative=("weight_decay", "clip_norm", "length_penalty"),
            fractions=("dropout", "cooldown_fraction", "label_smoothing", "average_decay", "sampling"),
        )
        if self.sampling and self.network == "transformer":
            raise ValueError("sampling is for networks that write piece by piece: rnn, lstm and gru")
        if self.beam_size > self.max_beam_size:
            raise ValueError(f"beam_size={self.beam_size} is above max_beam_size={self.max_beam_size}")


DEMO = Recipe(
    data="phrases",
    vocabulary_size=1024,
    lowercase=False,
    max_pieces=64,
    num_layers=2,
    pre_norm=False,
    dropout=0.0,
    num_validation=500,
    epochs=8,
    tokens_per_batch=2048,
    lr=3e-3,
    warmup_steps=300,
    cooldown_fraction=0.0,
    average_decay=0.99,
    beam_size=1,
    margin=1.0,
)
FULL = Recipe()

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL}


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train, evaluate on held-out data and record everything in the run's folder."""
    from training.seq2seq.session import train_translator

    return train_translator(recipe, options)


def compare_runs(first: Path, second: Path) -> str:
    """Tell whether two finished runs differ in BLEU on their test sentences."""
    from training.seq2seq.comparison import compare_runs

    return compare_runs(first, second)


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a finished run to the release steps.

    Raises:
        ValueError: the run's network is recurrent.
    """
    from training.engine.runs import read_run
    from training.seq2seq.servable import describe_translator

    network = read_run(run)["recipe"]["network"]
    if network != "transformer":
        raise ValueError(
            f"{run} is a {network}: recurrent networks are for comparison only, because a compiler unrolls their "
            "encoder to one fixed length; release a run with network=transformer"
        )
    return describe_translator(run, device)
