"""`segment`: images in any usual form to the class of each of their pixels."""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What one image shows: `mask` uint8 [H, W] holds a place in `classes` for each pixel, `areas` shares by name.

    `label` is the class of the whole image, '' where the model does not say it. `error` says why there is no answer;
    the mask is zeros then, and the rest is empty.
    """

    mask: np.ndarray
    classes: tuple[str, ...]
    areas: Mapping[str, float]
    label: str
    version: str
    error: str = ""


def segment(
    images: Images, *, model: str = "segmenter", version: str = "", timeout_s: float | None = None
) -> Steps[list[Segmentation]]:
    """Segment one image or many, in the forms that `classify` takes; `client.perform(segment(…))`.

    Masks have the size of the model's images, to which the server brings what comes as a file: it scales and keeps the
    middle. Many images travel in several calls at once. An image that the server cannot decode fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: an array is not uint8 or has no image's shape, or the model makes no masks.
        OSError: a file cannot be read.
    """
    name, rows = prepare_images(images)
    described = yield from metadata(model, version=version, timeout_s=timeout_s)
    offered = {tensor.name for tensor in described.outputs}
    if not {"mask", "area", "class"} <= offered:
        raise ValueError(f"{model} makes no masks: it is no segmenter")
    calls = make_infer_calls(
        model,
        {name: rows},
        ROWS_PER_CALL,
        version=version,
        outputs=("mask", "area", "class", *({"label"} & offered), ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return [segmentation for answer in answers for segmentation in _read_segmentations(answer)]


def _read_segmentations(answer: Answer) -> list[Segmentation]:
    masks, found = answer.arrays["mask"], []
    for row, error in enumerate(read_row_errors(answer, len(masks))):
        classes = () if error else tuple(name.decode() for name in answer.arrays["class"][row])
        areas = dict(zip(classes, answer.arrays["area"][row].tolist(), strict=not error))
        label = "" if error or "label" not in answer.arrays else answer.arrays["label"][row].decode()
        found.append(Segmentation(masks[row], classes, areas, label, answer.version, error))
    return found
