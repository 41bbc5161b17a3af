"""`reconstruct`: images in any usual form to their codes, what the codes tell of them, and how unusual they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.images import prepare_images
from services.client.inference import infer_answers, make_infer_calls, metadata, read_row_errors
from services.client.steps import Steps
from services.client.wire import Answer

if TYPE_CHECKING:
    from services.client.images import Images

ROWS_PER_CALL = 32
_OUTPUTS = ("reconstruction", "code", "deviation", "unusual")


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What became of one image: `image` uint8 [H, W, C], told by its `code` float32 [Z].

    `deviation` is what differs, in grey levels of 255; `is_unusual` says whether it exceeds the threshold. `error` says
    why there is no answer; everything else is zeros then.
    """

    image: np.ndarray
    code: np.ndarray
    deviation: float
    is_unusual: bool
    version: str
    error: str = ""


def reconstruct(
    images: Images,
    *,
    threshold: float | None = None,
    model: str = "autoencoder",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[Reconstruction]]:
    """Reconstruct one image or many, in the forms that `classify` takes; `client.perform(reconstruct(…))`.

    `threshold` is the deviation above which an image is unusual; without it the model's own. Many images travel in
    several calls at once. An image that the server cannot decode fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: an array is not uint8 or has no image's shape, or the model reconstructs nothing.
        OSError: a file cannot be read.
    """
    name, rows = prepare_images(images)
    described = yield from metadata(model, version=version, timeout_s=timeout_s)
    if not set(_OUTPUTS) <= {tensor.name for tensor in described.outputs}:
        raise ValueError(f"{model} reconstructs nothing: it is no autoencoder")
    calls = make_infer_calls(
        model,
        {name: rows},
        ROWS_PER_CALL,
        parameters={} if threshold is None else {"threshold": float(threshold)},
        version=version,
        outputs=(*_OUTPUTS, ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return [reconstruction for answer in answers for reconstruction in _read_reconstructions(answer)]


def _read_reconstructions(answer: Answer) -> list[Reconstruction]:
    images, codes, deviations, unusual = (answer.arrays[name] for name in _OUTPUTS)
    return [
        Reconstruction(images[row], codes[row], float(deviations[row]), bool(unusual[row]), answer.version, error)
        for row, error in enumerate(read_row_errors(answer, len(images)))
    ]
