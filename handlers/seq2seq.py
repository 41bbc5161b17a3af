"""Serve a translator: text in, text out.

Options: `vocabulary` (file of the sentencepiece model), `lowercase`, `max_pieces` of a source text, the defaults
`beam_size` and `length_penalty`, and `max_beam_size`, the most beams that a request gets. Programs: `encoder` and
`decoder`, see beam_search.py. Bit by bit: text_session.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from handlers.base import Decoded, Outputs, RowError
from handlers.beam_search import END, PAD, Beams, Hypothesis, SearchOptions, pad_rows, search
from handlers.device import Device
from handlers.message import Request
from handlers.sampling import Sampling
from handlers.session import StreamingHandler
from handlers.text import decode_text
from handlers.text_session import TextRow, TextSession


class TranslatorHandler(StreamingHandler):
    """Input `text` BYTES [N]; outputs `translation` BYTES [N], `score` FP32 [N] and `alignment` BYTES [N] (JSON).

    With `num_hypotheses` n, each output has shape [N, n], best first.
    """

    text_output = "translation"

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
            except RowError as error:
                rows.append([END])
                row_errors.append(str(error))
        return Decoded([pad_rows(rows)], row_errors)

    def encode_text(self, data: bytes) -> list[int]:
        """Turn UTF-8 text into piece numbers with the end sign.

        Raises:
            RowError: it is no UTF-8, empty, or too long.
        """
        text = decode_text(data)
        pieces = self.vocabulary.encode(text.lower() if self.options["lowercase"] else text)
        if not pieces:
            raise RowError("the text is empty; send at least one word")
        if len(pieces) >= self.max_pieces:
            raise RowError(
                f"the text has {len(pieces)} subword pieces, the limit is {self.max_pieces - 1}: send shorter ones"
            )
        return [*pieces, END]

    def stack(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Leave arrays where they are: the search moves what its programs need, and its results are arrays."""
        return list(arrays)

    def run(self, values: list[Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Search; returns pieces int64 [N, n, T], scores [N, n] and source weights [N, n, T, S]."""
        (source,) = values
        options = self.read_options(parameters)
        limits = np.array([self.limit_length(length, parameters) for length in (source != PAD).sum(1).tolist()])
        found = search(self.make_beams(options), source, limits, [options] * len(source), self.departed)
        return self.collect(found, source, options)

    def open_session(self) -> TextSession:
        return TextSession(self)

    def open_text(self, request: Request) -> TextRow:
        parameters, requested = request.parameters, request.requested or self.default_outputs
        if "alignment" in requested:
            parameters = {**parameters, "alignments": True}
        source = self.encode_text(request.inputs["text"][0])
        return TextRow(
            source=source,
            limit=self.limit_length(len(source), parameters),
            options=self.read_options(parameters),
            parameters=parameters,
            requested=requested,
            is_told=self.text_output in requested and "num_hypotheses" not in parameters,
        )

    def close_text(self, row: TextRow, found: Sequence[Hypothesis]) -> dict[str, np.ndarray]:
        results = self.collect([found], np.array([row.source]), row.options)
        return self.encode(results, row.parameters, row.requested)

    def make_beams(self, options: SearchOptions) -> Beams:
        """Make beams that sentences with such options may join."""
        programs = (self.programs["encoder"], self.programs["decoder"])
        return Beams(*programs, self.device, options.beam_size, alignments=options.alignments)

    def limit_length(self, num_pieces: int, parameters: Mapping[str, Any]) -> int:
        """How many pieces the translation of a source of so many may have."""
        most = 2 * self.max_pieces - 1
        # Twice the source and a few more is longer than any real translation; the positions end there too.
        limit: int = min(2 * num_pieces + 10, parameters.get("max_length", most))
        return min(max(limit, parameters.get("min_length", 0)), most)

    def collect(
        self, found: Sequence[Sequence[Hypothesis]], source: np.ndarray, options: SearchOptions
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Put the hypotheses of rows of source pieces [N, S] into the arrays that `run` returns."""
        longest = max((len(hypothesis.pieces) for row in found for hypothesis in row), default=0)
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
                    # Of a sentence that was written beside longer ones, they are padded.
                    weights[index, rank, :length] = hypothesis.weights[:, : source.shape[1]]
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
                outputs["translation"][place] = self.decode_pieces(pieces[place]).encode()
        if "score" in requested:
            outputs["score"] = scores
        if "alignment" in requested or _wants_alignments(parameters):
            outputs["alignment"] = np.empty(scores.shape, np.object_)
            for place in np.ndindex(scores.shape):
                outputs["alignment"][place] = self._describe_alignment(source[place[0]], pieces[place], weights[place])
        if "num_hypotheses" in parameters:
            return outputs
        return {name: array[:, 0] for name, array in outputs.items()}

    def read_options(self, parameters: Mapping[str, Any]) -> SearchOptions:
        """Read what a search has to know of a request's parameters.

        Raises:
            ValueError: more beams are wanted than the released decoder takes.
        """
        sampling = self._read_sampling(parameters)
        num_hypotheses = 1 if sampling else parameters.get("num_hypotheses", 1)
        beam_size = 1 if sampling else max(parameters.get("beam_size", self.options["beam_size"]), num_hypotheses)
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
            sampling=sampling,
        )

    def _read_sampling(self, parameters: Mapping[str, Any]) -> Sampling | None:
        temperature = parameters.get("temperature", 0.0)
        if not temperature:
            return None
        top_k = parameters.get("top_k", self.options["max_beam_size"] + 1)
        return Sampling(temperature=temperature, top_k=top_k, seed=parameters.get("seed"))

    def decode_pieces(self, pieces: np.ndarray) -> str:
        """Turn piece numbers into text; padding is nothing."""
        text: str = self.vocabulary.decode(pieces[pieces != PAD].tolist())
        return text

    def _describe_alignment(self, source: np.ndarray, pieces: np.ndarray, weights: np.ndarray) -> bytes:
        names = [[self.vocabulary.id_to_piece(piece) for piece in row[row != PAD].tolist()] for row in (source, pieces)]
        shares = weights[: len(names[1]), : len(names[0])].round(4).tolist()
        return json.dumps({"source": names[0], "target": names[1], "weights": shares}, ensure_ascii=False).encode()


def _wants_alignments(parameters: Mapping[str, Any]) -> bool:
    return bool(parameters.get("alignments", False))
