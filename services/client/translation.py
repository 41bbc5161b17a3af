"""`translate`: texts to texts, in another language or in fewer words, as the model has learned."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.inference import infer_answers, make_infer_call, make_infer_calls, read_row_errors
from services.client.steps import Following, Steps
from services.client.wire import Answer, decode_stream_response

ROWS_PER_CALL = 32


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the translator looked: `weights` [target][source] says how much of each piece on source pieces."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One translation and its score: log probability divided by a power of the length."""

    text: str
    score: float
    alignment: Alignment | None = None


@dataclass(frozen=True, slots=True)
class Translation:
    """What one text means, best first; `error` says why there is no answer, and `hypotheses` is then empty."""

    hypotheses: tuple[Hypothesis, ...]
    version: str
    error: str = ""

    @property
    def text(self) -> str:
        """The best translation; '' if the text failed."""
        return self.hypotheses[0].text if self.hypotheses else ""

    @property
    def score(self) -> float:
        """The score of the best translation; 0 if the text failed."""
        return self.hypotheses[0].score if self.hypotheses else 0.0


def translate(
    texts: str | Iterable[str],
    *,
    beam_size: int | None = None,
    num_hypotheses: int = 1,
    max_length: int | None = None,
    alignments: bool = False,
    model: str = "seq2seq",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[Translation]]:
    """Translate one text or many; many travel in several calls at once. A text that is too long fails alone.

    `beam_size` None is the model's own, 1 is greedy; `max_length` bounds a translation's subword pieces.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
    """
    rows = [texts] if isinstance(texts, str) else list(texts)
    parameters: dict[str, int | bool] = {"num_hypotheses": num_hypotheses}
    if beam_size is not None:
        parameters["beam_size"] = beam_size
    if max_length is not None:
        parameters["max_length"] = max_length
    outputs = ["translation", "score", ROW_ERRORS]
    if alignments:
        parameters["alignments"] = True
        outputs.insert(2, "alignment")
    calls = make_infer_calls(
        model,
        {"text": np.array([row.encode() for row in rows], np.object_)},
        ROWS_PER_CALL,
        parameters=parameters,
        version=version,
        outputs=outputs,
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return [translation for answer in answers for translation in _read_answer(answer)]


@dataclass(frozen=True, slots=True)
class TranslationBit:
    """More of a translation; `score` comes with the last bit."""

    text: str
    score: float | None
    version: str


def translate_stream(
    text: str,
    *,
    beam_size: int | None = None,
    max_length: int | None = None,
    temperature: float = 0.0,
    top_k: int | None = None,
    seed: int | None = None,
    model: str = "seq2seq",
    version: str = "",
    timeout_s: float | None = None,
) -> Following[TranslationBit]:
    """Translate one text and tell it as it is written; the bits' texts, joined, are the whole translation.

    `temperature` above 0 samples, from the `top_k` likeliest pieces, the same for the same `seed`. What beams write is
    told when all of them agree on it; with 1 beam, at once.

    Raises:
        ClientError: the server refused, or did not answer to the end; the subclass says which.
    """
    wanted = {"beam_size": beam_size, "max_length": max_length, "top_k": top_k, "seed": seed}
    parameters: dict[str, int | float] = {name: value for name, value in wanted.items() if value is not None}
    if temperature:
        parameters["temperature"] = temperature
    call = make_infer_call(
        model,
        {"text": np.array([text.encode()], np.object_)},
        parameters=parameters,
        version=version,
        outputs=["translation", "score"],
        timeout_s=timeout_s,
    )
    return Following(call, lambda data: _read_bit(decode_stream_response(data)))


def _read_bit(answer: Answer) -> TranslationBit:
    score = answer.arrays.get("score")
    text = answer.arrays["translation"][0].decode()
    return TranslationBit(text, None if score is None else float(score[0]), answer.version)


def _read_answer(answer: Answer) -> list[Translation]:
    texts, scores = answer.arrays["translation"], answer.arrays["score"]
    alignments = answer.arrays.get("alignment")
    found = []
    for row, error in enumerate(read_row_errors(answer, len(texts))):
        hypotheses = (
            ()
            if error
            else tuple(
                Hypothesis(
                    texts[row, rank].decode(),
                    float(scores[row, rank]),
                    _read_alignment(alignments[row, rank]) if alignments is not None else None,
                )
                for rank in range(texts.shape[1])
            )
        )
        found.append(Translation(hypotheses, answer.version, error))
    return found


def _read_alignment(data: bytes) -> Alignment:
    content = json.loads(data)
    return Alignment(
        tuple(content["source"]), tuple(content["target"]), tuple(tuple(row) for row in content["weights"])
    )
