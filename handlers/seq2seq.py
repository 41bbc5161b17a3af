"""Serve a translator: text in, text out.

Options: `vocabulary` (file of the sentencepiece model), `lowercase`, `max_pieces` of a source text, the defaults
`beam_size` and `length_penalty`, and `max_beam_size`, the most beams that a request gets. Programs: `encoder` and
`decoder`, see beam_search.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from handlers.base import Decoded, Handler, Outputs
from handlers.beam_search import END, PAD, SearchOptions, pad_rows, search
from handlers.device import Device


class TextError(ValueError):
    """A text that cannot be translated; the message is for the caller."""


class TranslatorHandler(Handler):
    """Input `text` BYTES [N]; outputs `translation` BYTES [N], `score` FP32 [N] and `alignment` BYTES [N] (JSON).

    With `num_hypotheses` n, each output has shape [N, n], best first.
    """

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        model = (folder / self.options["vocabulary"]).read_bytes()
        self.vocabulary = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.max_pieces: int = self.options["max_pieces"]

    def infer(
        self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str] = ()
    ) -> Outputs:
        # The search keeps the weights only where somebody wants them.
        if "alignment" in (requested or self.default_outputs):
            parameters = {**parameters, "alignments": True}
        return super().infer(inputs, parameters, requested)

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        rows: list[list[int]] = []
        row_errors: list[str | None] = []
        for text in inputs["text"]:
            try:
                rows.append(self.encode_text(text))
                row_errors.append(None)
            except TextError as error:
                rows.append([END])
                row_errors.append(str(error))
        return Decoded([pad_rows(rows)], row_errors)

    def encode_text(self, data: bytes) -> list[int]:
        """Turn UTF-8 text into piece numbers with the end sign.

        Raises:
            TextError: it is no UTF-8, empty, or too long.
        """
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise TextError(f"the text is no UTF-8 (byte {error.start}); send UTF-8") from None
        pieces = self.vocabulary.encode(text.lower() if self.options["lowercase"] else text)
        if not pieces:
            raise TextError("the text is empty; send at least one word")
        if len(pieces) >= self.max_pieces:
            raise TextError(
                f"the text has {len(pieces)} subword pieces, the limit is {self.max_pieces - 1}: send shorter ones"
            )
        return [*pieces, END]

    def stack(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Leave arrays where they are: the search moves what its programs need, and its results are arrays."""
        return list(arrays)

    def run(self, values: list[Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Search; returns pieces int64 [N, n, T], scores [N, n] and source weights [N, n, T, S]."""
        (source,) = values
        options = self._read_options(parameters)
        lengths = (source != PAD).sum(1)
        # Twice the source and a few more is longer than any real translation; the positions end there too.
        limits = np.minimum(2 * lengths + 10, parameters.get("max_length", 2 * self.max_pieces - 1))
        limits = np.minimum(np.maximum(limits, options.min_length), 2 * self.max_pieces - 1)
        found = search(self.programs["encoder"], self.programs["decoder"], self.device, source, limits, options)
        longest = max(len(hypothesis.pieces) for row in found for hypothesis in row)
        shape = (len(source), options.num_hypotheses)
        pieces = np.full((*shape, longest), PAD, np.int64)
        scores = np.full(shape, -np.inf, np.float32)
        weights = np.zeros((*shape, longest if options.alignments else 0, source.shape[1]), np.float32)
        for index, row in enumerate(found):
            for rank, hypothesis in enumerate(row):
                length = len(hypothesis.pieces)
                pieces[index, rank, :length] = hypothesis.pieces
                scores[index, rank] = hypothesis.score
                if hypothesis.weights is not None:
                    weights[index, rank, :length] = hypothesis.weights
        return pieces, scores, weights, source

    def unstack(self, results: Sequence[Any]) -> list[np.ndarray]:
        return list(results)

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        pieces, scores, weights, source = results
        outputs: dict[str, np.ndarray] = {}
        if "translation" in requested:
            outputs["translation"] = np.empty(scores.shape, np.object_)
            for place in np.ndindex(scores.shape):
                outputs["translation"][place] = self._decode_pieces(pieces[place]).encode()
        if "score" in requested:
            outputs["score"] = scores
        if "alignment" in requested or _wants_alignments(parameters):
            outputs["alignment"] = np.empty(scores.shape, np.object_)
            for place in np.ndindex(scores.shape):
                outputs["alignment"][place] = self._describe_alignment(source[place[0]], pieces[place], weights[place])
        if "num_hypotheses" in parameters:
            return outputs
        return {name: array[:, 0] for name, array in outputs.items()}

    def _read_options(self, parameters: Mapping[str, Any]) -> SearchOptions:
        num_hypotheses = parameters.get("num_hypotheses", 1)
        beam_size = max(parameters.get("beam_size", self.options["beam_size"]), num_hypotheses)
        if beam_size > self.options["max_beam_size"]:  # more than the decoder was exported for
            raise ValueError(
                f"{beam_size} beams are wanted, the released decoder takes {self.options['max_beam_size']}"
            )
        return SearchOptions(
            beam_size=beam_size,
            num_hypotheses=num_hypotheses,
            min_length=parameters.get("min_length", 0),
            length_penalty=parameters.get("length_penalty", self.options["length_penalty"]),
            alignments=_wants_alignments(parameters),
        )

    def _decode_pieces(self, pieces: np.ndarray) -> str:
        text: str = self.vocabulary.decode(pieces[pieces != PAD].tolist())
        return text

    def _describe_alignment(self, source: np.ndarray, pieces: np.ndarray, weights: np.ndarray) -> bytes:
        names = [[self.vocabulary.id_to_piece(piece) for piece in row[row != PAD].tolist()] for row in (source, pieces)]
        shares = weights[: len(names[1]), : len(names[0])].round(4).tolist()
        return json.dumps({"source": names[0], "target": names[1], "weights": shares}, ensure_ascii=False).encode()


def _wants_alignments(parameters: Mapping[str, Any]) -> bool:
    return bool(parameters.get("alignments", False))
