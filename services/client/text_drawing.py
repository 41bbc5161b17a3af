"""`draw_texts`: texts to images of what they say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.images import list_pictures
from services.client.inference import infer_answers, make_infer_calls
from services.client.steps import Steps

if TYPE_CHECKING:
    from PIL.Image import Image

ROWS_PER_CALL = 32


@dataclass(frozen=True, slots=True)
class DrawnText:
    """An image of a text, drawn from a seed; where there is none `error` says why, and it is black."""

    text: str
    seed: int
    image: Image
    version: str
    error: str = ""


def draw_texts(
    texts: str | Iterable[str],
    n: int = 1,
    *,
    seed: int = 0,
    truncation: float | None = None,
    model: str = "text_to_image",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[DrawnText]]:
    """Draw one text or many, each `n` times from the seeds `seed`, `seed` + 1, …; `client.perform(draw_texts(…))`.

    The images of the first text come first. The same text and seed are always the same image. `truncation` bounds the
    latents: smaller is more typical and less varied. A text that cannot be read fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: there is no text, or `n` is not positive.
    """
    given = [texts] if isinstance(texts, str) else list(texts)
    if not given:
        raise ValueError("there is no text to draw")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    rows = [(text, number) for text in given for number in range(seed, seed + n)]
    encoded = np.empty(len(rows), np.object_)
    encoded[:] = [text.encode() for text, _ in rows]
    parameters: dict[str, Any] = {} if truncation is None else {"truncation": float(truncation)}
    calls = make_infer_calls(
        model,
        {"text": encoded, "seed": np.array([number for _, number in rows], np.int64)},
        ROWS_PER_CALL,
        parameters=parameters,
        version=version,
        outputs=("image", ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return [DrawnText(text, number, *found) for (text, number), found in zip(rows, list_pictures(answers), strict=True)]
