"""`continue_text`: beginnings of texts to how they go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.inference import infer_answers, make_infer_call, make_infer_calls, read_row_errors
from services.client.steps import Following, Steps
from services.client.wire import Answer, decode_stream_response

ROWS_PER_CALL = 32


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How pieces are chosen; None is the model's own. Temperature 0 takes the likeliest piece."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None

    def as_parameters(self) -> dict[str, int | float]:
        """The request's parameters."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Continuation:
    """What follows a prompt, and the logarithm of its probability; `error` says why there is nothing."""

    text: str
    score: float
    version: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class ContinuationBit:
    """More of a text; `score` comes with the last bit."""

    text: str
    score: float | None
    version: str


def continue_text(
    prompts: str | Iterable[str],
    writing: Writing | None = None,
    *,
    model: str = "language_model",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[Continuation]]:
    """Continue one text or many: `client.perform(continue_text(…))`. A prompt that is too long fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
    """
    rows = [prompts] if isinstance(prompts, str) else list(prompts)
    calls = make_infer_calls(
        model,
        {"prompt": np.array([row.encode() for row in rows], np.object_)},
        ROWS_PER_CALL,
        parameters=(writing or Writing()).as_parameters(),
        version=version,
        outputs=("text", "score", ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return [found for answer in answers for found in _read_answer(answer)]


def continue_text_stream(
    prompt: str,
    writing: Writing | None = None,
    *,
    model: str = "language_model",
    version: str = "",
    timeout_s: float | None = None,
) -> Following[ContinuationBit]:
    """Continue one text and tell it as it is written: `client.follow(continue_text_stream(…))`.

    Raises:
        ClientError: the server refused, or did not answer to the end; the subclass says which.
    """
    call = make_infer_call(
        model,
        {"prompt": np.array([prompt.encode()], np.object_)},
        parameters=(writing or Writing()).as_parameters(),
        version=version,
        outputs=("text", "score"),
        timeout_s=timeout_s,
    )
    return Following(call, lambda data: _read_bit(decode_stream_response(data)))


def _read_answer(answer: Answer) -> list[Continuation]:
    texts, scores = answer.arrays["text"], answer.arrays["score"]
    return [
        Continuation(text.decode(), float(score), answer.version, error)
        for text, score, error in zip(texts, scores, read_row_errors(answer, len(texts)), strict=True)
    ]


def _read_bit(answer: Answer) -> ContinuationBit:
    score = answer.arrays.get("score")
    text = answer.arrays["text"][0].decode()
    return ContinuationBit(text, None if score is None else float(score[0]), answer.version)
