"""Serve a language model: the beginning of a text in, how it goes on out.

Options: `vocabulary` (file of a sentencepiece model, or of GPT-2's pieces with `merges` beside it), `context`, the most
pieces that the network sees, `begins` (a begin sign stands before each prompt), the default `max_tokens`,
`num_candidates` that the writer names, and `num_writable`, how many pieces may follow at all.

Dimensions: B texts, S pieces of a prompt, T earlier places, L layers, D features, N candidates.

reader: prompt int64 [B, S] → keys and values [2L, B, S, D], bias that hides padding [B, S], first cache entry
    [2L, B, D]
writer: last pieces int64 [B, 1], starts int64 [B], cache [T, 2L, B, 1, D], keys and values, bias → log probabilities
    [B, 1, N] of the best next pieces, these pieces [B, 1, N], cache entry [2L, B, 1, D]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import sentencepiece

from handlers.base import Decoded, Outputs, RowError
from handlers.beam_search import BEGIN, PAD, Beams, Hypothesis, SearchOptions, pad_rows, search
from handlers.device import Device
from handlers.forced_writing import score_forced
from handlers.message import Request
from handlers.sampling import Sampling
from handlers.session import StreamingHandler
from handlers.text_session import TextRow, TextSession
from model_store.byte_pairs import BytePairs


class Pieces(Protocol):
    """Text ↔ piece numbers."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, pieces: list[int]) -> str: ...


class LanguageModelHandler(StreamingHandler):
    """Inputs `prompt` BYTES [N] and, if it is to be measured instead of written, `continuation` BYTES [N].

    Outputs `text` BYTES [N], what follows the prompt, and `score` FP32 [N], the logarithm of its probability.
    """

    text_output = "text"

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        self.vocabulary = _open_vocabulary(folder, self.options)
        self.context: int = self.options["context"]

    def infer(
        self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str] = ()
    ) -> Outputs:
        if "continuation" in inputs:
            return self._measure(inputs["prompt"], inputs["continuation"], requested or self.default_outputs)
        return super().infer(inputs, parameters, requested)

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        rows: list[list[int]] = []
        row_errors: list[str | None] = []
        for prompt in inputs["prompt"]:
            try:
                rows.append(self.encode_prompt(prompt))
                row_errors.append(None)
            except RowError as error:
                rows.append([BEGIN])
                row_errors.append(str(error))
        return Decoded([pad_rows(rows)], row_errors)

    def encode_prompt(self, data: bytes) -> list[int]:
        """Turn UTF-8 text into pieces, at least one.

        Raises:
            RowError: it is no UTF-8, or leaves no place for another piece.
        """
        pieces = self._encode("prompt", data)
        if self.options["begins"] or not pieces:
            pieces = [BEGIN, *pieces]
        if len(pieces) >= self.context:
            raise RowError(
                f"the prompt has {len(pieces)} pieces, the network sees {self.context}: send fewer, the last ones"
            )
        return pieces

    def stack(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Leave arrays where they are: the search moves what its programs need, and its results are arrays."""
        return list(arrays)

    def run(self, values: list[Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Write; returns each row's hypotheses."""
        (prompts,) = values
        rows = [self._open(prompt[prompt != PAD].tolist(), parameters, self.default_outputs) for prompt in prompts]
        return search(
            self.make_beams(rows[0].options),
            pad_rows([row.source for row in rows]),
            np.array([row.limit for row in rows]),
            [row.options for row in rows],
            self.departed,
            np.array([row.begin for row in rows]),
        )

    def unstack(self, results: Sequence[Any]) -> list[Any]:
        return list(results)

    def encode(
        self, results: Sequence[Any], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        texts = np.empty(len(results), np.object_)
        scores = np.zeros(len(results), np.float32)
        for row, found in enumerate(results):
            texts[row] = self.decode_pieces(found[0].pieces).encode() if found else b""
            scores[row] = found[0].score if found else 0.0
        return _choose({"text": texts, "score": scores}, requested)

    def open_session(self) -> TextSession:
        return TextSession(self)

    def open_text(self, request: Request) -> TextRow:
        if "continuation" in request.inputs:
            raise RowError("a continuation is measured, which is no stream: ask for it without streaming")
        requested = request.requested or self.default_outputs
        return self._open(self.encode_prompt(request.inputs["prompt"][0]), request.parameters, requested)

    def close_text(self, row: TextRow, found: Sequence[Hypothesis]) -> dict[str, np.ndarray]:
        return self.encode([found], row.parameters, row.requested)

    def make_beams(self, options: SearchOptions) -> Beams:
        """Make a beam that texts may join."""
        return Beams(self.programs["reader"], self._write, self.device, options.beam_size)

    def decode_pieces(self, pieces: np.ndarray) -> str:
        """Turn piece numbers into text; padding is nothing."""
        return self.vocabulary.decode(pieces[pieces != PAD].tolist())

    def _write(self, values: Sequence[Any]) -> Sequence[Any]:
        """Run the writer as beams call a decoder: with one beam, nothing has an ancestor in another one."""
        tokens, _, *others = values
        return self.programs["writer"]([tokens, *others])

    def _open(self, prompt: list[int], parameters: Mapping[str, Any], requested: Sequence[str]) -> TextRow:
        limit = min(parameters.get("max_tokens", self.options["max_tokens"]), self.context - len(prompt))
        return TextRow(
            source=prompt[:-1] or [PAD],
            begin=prompt[-1],
            limit=limit,
            options=SearchOptions(
                beam_size=1,
                min_length=min(parameters.get("min_tokens", 0), limit),
                length_penalty=0.0,
                sampling=self._read_sampling(prompt, parameters),
            ),
            parameters=parameters,
            requested=requested,
            is_told=self.text_output in requested,
        )

    def _read_sampling(self, prompt: list[int], parameters: Mapping[str, Any]) -> Sampling | None:
        temperature, penalty = parameters.get("temperature", 0.0), parameters.get("repetition_penalty", 1.0)
        if not temperature and penalty == 1:
            return None
        return Sampling(
            temperature=temperature,
            top_k=parameters.get("top_k", self.options["num_candidates"]),
            top_p=parameters.get("top_p", 1.0),
            repetition_penalty=penalty,
            seed=parameters.get("seed"),
            seen=frozenset(prompt),
        )

    def _measure(self, prompts: np.ndarray, continuations: np.ndarray, requested: Sequence[str]) -> Outputs:
        """Score continuations [N] as if they had been written."""
        rows: list[tuple[list[int], list[int]]] = []
        row_errors: list[str | None] = []
        for prompt, continuation in zip(prompts, continuations, strict=True):
            try:
                rows.append(self._encode_pair(prompt, continuation))
                row_errors.append(None)
            except RowError as error:
                rows.append(([BEGIN], []))
                row_errors.append(str(error))
        scores = score_forced(
            self.programs["reader"], self.programs["writer"], self.device, rows, self.options["num_writable"]
        )
        texts = continuations.copy()
        texts[[error is not None for error in row_errors]] = b""
        return Outputs(_choose({"text": texts, "score": scores}, requested), row_errors)

    def _encode_pair(self, prompt: bytes, continuation: bytes) -> tuple[list[int], list[int]]:
        read, forced = self.encode_prompt(prompt), self._encode("continuation", continuation)
        if len(read) + len(forced) > self.context + 1:
            raise RowError(
                f"prompt and continuation have {len(read) + len(forced)} pieces together, the limit is "
                f"{self.context + 1}: send shorter ones"
            )
        return read, forced

    def _encode(self, name: str, data: bytes) -> list[int]:
        try:
            return self.vocabulary.encode(data.decode())
        except UnicodeDecodeError as error:
            raise RowError(f"the {name} is no UTF-8 (byte {error.start}); send UTF-8") from None


def _open_vocabulary(folder: Path, options: Mapping[str, Any]) -> Pieces:
    file = folder / options["vocabulary"]
    if "merges" in options:
        return BytePairs(file.read_text(), (folder / options["merges"]).read_text())
    processor: Pieces = sentencepiece.SentencePieceProcessor(model_proto=file.read_bytes())
    return processor


def _choose(arrays: dict[str, np.ndarray], requested: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: arrays[name] for name in requested}
