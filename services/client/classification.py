"""`classify`: images in any usual form to labels with probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.images import prepare_images
from services.client.inference import infer_answers, make_infer_calls, read_row_errors
from services.client.steps import Steps
from services.client.wire import Answer

if TYPE_CHECKING:
    from services.client.images import Images

ROWS_PER_CALL = 32


@dataclass(frozen=True, slots=True)
class Score:
    """One label and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Classification:
    """What one image or text is, likeliest label first; `error` says why there is no answer, `top` is empty then."""

    top: tuple[Score, ...]
    version: str
    error: str = ""

    @property
    def label(self) -> str:
        """The likeliest label; '' if there is no answer."""
        return self.top[0].label if self.top else ""

    @property
    def probability(self) -> float:
        """Probability of the likeliest label; 0 if there is no answer."""
        return self.top[0].probability if self.top else 0.0


def classify(
    images: Images,
    *,
    top: int = 1,
    model: str = "classifier",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[Classification]]:
    """Classify one image or many: file paths, encoded bytes, PIL images, or uint8 arrays [H, W] or [H, W, C].

    Arrays of one size go as they are and must have the model's size; everything else goes encoded and is resized by the
    server. Many images travel in several calls at once. An image that the server cannot decode fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: an array is not uint8 or has no image's shape.
        OSError: a file cannot be read.
    """
    name, rows = prepare_images(images)
    return (yield from rank_labels(name, rows, top=top, model=model, version=version, timeout_s=timeout_s))


def rank_labels(
    name: str, rows: np.ndarray, *, top: int, model: str, version: str, timeout_s: float | None
) -> Steps[list[Classification]]:
    """Have the rows of one input classified, in several calls at once where they are many."""
    calls = make_infer_calls(
        model,
        {name: rows},
        ROWS_PER_CALL,
        parameters={"top_k": top},
        version=version,
        outputs=("label", "probabilities", ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return [classification for answer in answers for classification in read_classifications(answer)]


def read_classifications(answer: Answer) -> list[Classification]:
    """Read the outputs `label` and `probabilities` of an answer with `top_k`."""
    labels, probabilities = answer.arrays["label"], answer.arrays["probabilities"]
    found = []
    for row, error in enumerate(read_row_errors(answer, len(labels))):
        scores = zip(np.atleast_1d(labels[row]), np.atleast_1d(probabilities[row]), strict=True)
        top = () if error else tuple(Score(label.decode(), float(probability)) for label, probability in scores)
        found.append(Classification(top, answer.version, error))
    return found
