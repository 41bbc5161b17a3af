"""The text classifier's recipes.

Everything a run depends on is a field of `Recipe`; `train text_classifier --set field=value` changes any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from training.engine.bounds import check_bounds

Network = Literal["transformer", "lstm", "pretrained"]
_SIZES = ("width", "num_layers", "num_heads", "hidden", "vocabulary_size", "max_pieces")
_COUNTS = ("tokens_per_batch", "num_examples", "max_rows")
_RATES = ("epochs", "lr", "margin", "low_rank_scale", "validation_fraction", "teacher_temperature")
_FRACTIONS = (
    *("dropout", "validation_fraction", "warmup_fraction", "label_smoothing", "average_decay", "teacher_weight"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one text classifier is made."""

    network: Annotated[Network, "which network; pretrained reads weights_folder"] = "transformer"
    width: Annotated[int, "features of a piece"] = 128
    num_layers: Annotated[int, "layers of the network"] = 4
    num_heads: Annotated[int, "heads of the transformer's attention"] = 4
    hidden: Annotated[int, "hidden features of the transformer's feed-forward layers"] = 256
    dropout: Annotated[float, "share of features left out in training"] = 0.1
    weights_folder: Annotated[str | None, "folder of a BERT-like network, here or below --data-root"] = None
    low_rank: Annotated[int, "rank of the changes that a pretrained network learns (LoRA); 0 changes all weights"] = 0
    low_rank_scale: Annotated[float, "what the changes are multiplied by, divided by their rank"] = 16.0

    teacher: Annotated[str | None, "finished run whose answers are learned beside the labels, from its pieces"] = None
    teacher_weight: Annotated[float, "share of the loss that the teacher's answers have"] = 0.5
    teacher_temperature: Annotated[float, "temperature at which teacher and student are compared"] = 2.0

    data: Annotated[str, "data set where --data is not given"] = "folder:aclImdb"
    validation_fraction: Annotated[float, "share of the training texts that validates"] = 0.1
    vocabulary_size: Annotated[int, "subword pieces; pretrained networks have their own"] = 8000
    lowercase: Annotated[bool, "fold text to lower case; pretrained networks know whether to"] = True
    max_pieces: Annotated[int, "most pieces of a text that are read, the end sign included"] = 256

    epochs: Annotated[float, "passes through the training texts"] = 6.0
    tokens_per_batch: Annotated[int, "pieces in a step, padding included"] = 8192
    lr: Annotated[float, "highest learning rate"] = 1e-3
    weight_decay: Annotated[float, "weight decay"] = 1e-2
    clip_norm: Annotated[float, "norm to which gradients are clipped; 0 does not clip"] = 1.0
    warmup_fraction: Annotated[float, "share of the steps over which the learning rate rises"] = 0.1
    label_smoothing: Annotated[float, "share of the target that is spread over all labels"] = 0.0
    average_decay: Annotated[float, "decay of the average of weights, which is released; 0: none"] = 0.99
    max_threads: Annotated[int, "most CPU threads to train on; 0 leaves it to torch"] = 0

    margin: Annotated[float, "accuracy that a released variant may lose, as a share"] = 0.005
    num_examples: Annotated[int, "test texts that a release carries as examples"] = 16
    max_rows: Annotated[int, "most texts in a served batch"] = 64

    def __post_init__(self) -> None:
        check_bounds(
            self,
            positive=(*_SIZES, *_COUNTS, *_RATES),
            not_negative=("weight_decay", "clip_norm", "max_threads", "low_rank"),
            fractions=_FRACTIONS,
        )
        if (self.network == "pretrained") != (self.weights_folder is not None):
            raise ValueError("network=pretrained and weights_folder go together: set both or none of them")
        if self.low_rank and self.network != "pretrained":
            raise ValueError(f"low_rank changes a pretrained network; network={self.network} learns all its weights")
        if self.network == "pretrained" and self.teacher is not None:
            raise ValueError("a student reads its teacher's pieces, and network=pretrained has its own; choose another")
        if self.width % (2 * self.num_heads):
            raise ValueError(f"width={self.width} must be even and divisible by num_heads={self.num_heads}")
        if self.max_pieces < 3:
            raise ValueError(f"max_pieces={self.max_pieces} leaves no room for text between the signs")


FULL = Recipe()
DEMO = replace(
    FULL,
    data="opinions",
    width=64,
    num_layers=2,
    hidden=128,
    vocabulary_size=1200,
    max_pieces=64,
    epochs=2,
    tokens_per_batch=1024,
    lr=3e-3,
    max_threads=1,
)
# Source of lr, epochs and batch: Devlin et al. 2018, arXiv:1810.04805, appendix A.3; of rank and scale: Hu et al. 2021,
# arXiv:2106.09685, where low-rank changes take rates ten times as high.
PRETRAINED = replace(
    FULL,
    network="pretrained",
    weights_folder="bert-base-uncased",
    epochs=3,
    lr=3e-5,
    weight_decay=1e-2,
    average_decay=0.0,
)
LOW_RANK = replace(PRETRAINED, low_rank=8, lr=3e-4)

PRESETS: dict[str, Recipe] = {"demo": DEMO, "full": FULL, "pretrained": PRETRAINED, "low-rank": LOW_RANK}
