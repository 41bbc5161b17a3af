"""`translate_images`: images in any usual form to the same things in another style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_store.open_inference import ROW_ERRORS
from services.client.images import list_pictures, prepare_images
from services.client.inference import infer_answers, make_infer_calls, metadata
from services.client.steps import Steps

if TYPE_CHECKING:
    from PIL.Image import Image

    from services.client.images import Images

ROWS_PER_CALL = 32


@dataclass(frozen=True, slots=True)
class TranslatedImage:
    """An image in the other style; where there is none `error` says why, and it is black."""

    image: Image
    version: str
    error: str = ""


def translate_images(
    images: Images, *, model: str = "image_translator", version: str = "", timeout_s: float | None = None
) -> Steps[list[TranslatedImage]]:
    """Translate one image or many, in the forms that `classify` takes; `client.perform(translate_images(…))`.

    Answers have the size of the model's images, to which the server brings what comes as a file: it scales and keeps
    the middle. Many images travel in several calls at once. An image that the server cannot decode fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: an array is not uint8 or has no image's shape, or the model does not make images of images.
        OSError: a file cannot be read.
    """
    name, rows = prepare_images(images)
    described = yield from metadata(model, version=version, timeout_s=timeout_s)
    if not all("image" in {tensor.name for tensor in side} for side in (described.inputs, described.outputs)):
        raise ValueError(f"{model} makes no images of images: it is no image translator")
    calls = make_infer_calls(
        model,
        {name: rows},
        ROWS_PER_CALL,
        version=version,
        outputs=("image", ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return [TranslatedImage(*found) for found in list_pictures(answers)]
