"""What takes no learning: the text itself as its translation, its first sentences as its summary."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from training.seq2seq.recipe import Task

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def take_first_sentences(text: str, count: int) -> str:
    """The first sentences of a text; one ends with a point, an exclamation or a question mark before a space."""
    return " ".join(_SENTENCE_END.split(text, count)[:count])


BASELINES: Mapping[Task, Mapping[str, Callable[[str], str]]] = {
    "translation": {"the source copied": str},
    "summary": {
        "lead-1, the first sentence": lambda text: take_first_sentences(text, 1),
        "lead-2, the first two sentences": lambda text: take_first_sentences(text, 2),
    },
}
