"""`classify`: images in any usual form to labels with probabilities."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.inference import infer_answers, make_infer_call, read_row_errors
from services.client.steps import Steps
from services.client.wire import Answer

if TYPE_CHECKING:
    from PIL.Image import Image

    ImageLike = str | PathLike[str] | bytes | np.ndarray | Image

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
    images: ImageLike | Iterable[ImageLike],
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
    name, rows = _prepare_rows(_list_images(images))
    return (yield from rank_labels(name, rows, top=top, model=model, version=version, timeout_s=timeout_s))


def rank_labels(
    name: str, rows: np.ndarray, *, top: int, model: str, version: str, timeout_s: float | None
) -> Steps[list[Classification]]:
    """Have the rows of one input classified, in several calls at once where they are many."""
    calls = [
        make_infer_call(
            model,
            {name: rows[start : start + ROWS_PER_CALL]},
            parameters={"top_k": top},
            version=version,
            outputs=("label", "probabilities", ROW_ERRORS),
            timeout_s=timeout_s,
        )
        for start in range(0, len(rows), ROWS_PER_CALL)
    ]
    answers = yield from infer_answers(calls)
    return [classification for answer in answers for classification in read_classifications(answer)]


def _list_images(images: Any) -> list[Any]:
    single = isinstance(images, str | bytes | PathLike) or hasattr(images, "save")
    if single or (isinstance(images, np.ndarray) and images.ndim < 4):
        return [images]
    return list(images)


def _prepare_rows(images: Sequence[Any]) -> tuple[str, np.ndarray]:
    """Choose the input and make its rows: `image` for arrays of one size, else `encoded`."""
    if (
        images
        and all(isinstance(image, np.ndarray) for image in images)
        and len({image.shape for image in images}) == 1
    ):
        arrays = [_check_array(image) for image in images]
        return "image", arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
    rows = np.empty(len(images), np.object_)
    for index, image in enumerate(images):
        rows[index] = _encode_image(image)
    return "encoded", rows


def _check_array(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8:
        raise ValueError(
            f"images are uint8 arrays from 0 to 255, got {array.dtype}; convert with array.astype('uint8')"
        )
    if array.ndim not in (2, 3):
        raise ValueError(f"an image has shape [H, W] or [H, W, C], got {list(array.shape)}")
    return array if array.ndim == 3 else array[:, :, None]


def _encode_image(image: Any) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | PathLike):
        return Path(image).read_bytes()
    if isinstance(image, np.ndarray):
        from PIL import Image

        array = _check_array(image)
        image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def read_classifications(answer: Answer) -> list[Classification]:
    """Read the outputs `label` and `probabilities` of an answer with `top_k`."""
    labels, probabilities = answer.arrays["label"], answer.arrays["probabilities"]
    found = []
    for row, error in enumerate(read_row_errors(answer, len(labels))):
        scores = zip(np.atleast_1d(labels[row]), np.atleast_1d(probabilities[row]), strict=True)
        top = () if error else tuple(Score(label.decode(), float(probability)) for label, probability in scores)
        found.append(Classification(top, answer.version, error))
    return found
