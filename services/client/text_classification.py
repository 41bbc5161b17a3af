"""`classify_texts`: texts to labels with probabilities."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from services.client.classification import Classification, rank_labels
from services.client.steps import Steps


def classify_texts(
    texts: str | Iterable[str],
    *,
    top: int = 1,
    model: str = "text_classifier",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[Classification]]:
    """Classify one text or many; `client.perform(classify_texts(…))`. A text that cannot be read fails alone.

    Many texts travel in several calls at once, those of about equal length together, because all texts of a batch take
    as long as the longest; the answers come in the order of the texts.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: there is no text.
    """
    rows = [texts] if isinstance(texts, str) else list(texts)
    if not rows:
        raise ValueError("there is no text to classify")
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    sorted_rows = np.array([rows[row].encode() for row in order], np.object_)
    found = yield from rank_labels("text", sorted_rows, top=top, model=model, version=version, timeout_s=timeout_s)
    return [classification for _, classification in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]
