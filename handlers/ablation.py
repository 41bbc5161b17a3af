"""Which words of a prompt a continuation rests on: how much less likely it is without each of them.

No gradient is needed, so it works with whatever writes. Dimensions: N rows, W words of the longest prompt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from handlers.base import Handler, RowError
from handlers.text import decode_text

MAX_WORDS = 64
# As much of an answer as a person can ask the reasons of.
_MAX_TOKENS = 16
_AT_ONCE = 16
_WORD = re.compile(r"\s*\S+")


def leave_words_out(handler: Handler, prompt: bytes, continuation: bytes | None) -> dict[str, np.ndarray]:
    """Take each word of a prompt away; of one of more than `MAX_WORDS`, of its last ones.

    Returns `pieces` BYTES [1, W], `attribution` float32 [1, W], positive where a word made the continuation likelier (a
    difference of natural logarithms), the continuation as `text` BYTES [1], what is written if none is given, and its
    `score`.

    Raises:
        RowError: there is no word, or the two cannot be read.
    """
    words = [word.encode() for word in _WORD.findall(decode_text(prompt))]
    if continuation is None:
        written = _ask(handler, {"prompt": _rows([prompt])}, {"max_tokens": _MAX_TOKENS}, "text")
        continuation = bytes(written[0])
    first = max(0, len(words) - MAX_WORDS)
    without = [b"".join((*words[:place], *words[place + 1 :])) for place in range(first, len(words))]
    scores = _measure(handler, [prompt, *without], continuation)
    return {
        "pieces": _rows(words[first:])[None],
        "attribution": (scores[0] - scores[1:])[None],
        "text": _rows([continuation]),
        "score": scores[:1],
    }


def _measure(handler: Handler, prompts: list[bytes], continuation: bytes) -> np.ndarray:
    found = []
    for start in range(0, len(prompts), _AT_ONCE):
        part = prompts[start : start + _AT_ONCE]
        inputs = {"prompt": _rows(part), "continuation": _rows([continuation] * len(part))}
        found.append(_ask(handler, inputs, {}, "score"))
    return np.concatenate(found)


def _ask(handler: Handler, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any], output: str) -> np.ndarray:
    answer = handler.infer(inputs, parameters, [output])
    for error in filter(None, answer.row_errors):
        raise RowError(error)
    return answer.arrays[output]


def _rows(texts: list[bytes]) -> np.ndarray:
    rows = np.empty(len(texts), np.object_)
    rows[:] = texts
    return rows
