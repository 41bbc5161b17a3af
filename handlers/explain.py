"""A process that explains the answers of one archive: `python -m handlers.explain FOLDER`, in an unpacked archive.

Requests come through stdin and answers go through stdout, each a serialized OIP message behind its length in 4 bytes.
It ends when stdin does. It lives beside the workers, not in one: gradients take ten times an answer's time.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from handlers.ablation import leave_words_out
from handlers.archive import open_handler
from handlers.attribution import Attribution
from handlers.base import Handler, Outputs, RowError
from handlers.differentiable import AttributionError
from handlers.message import decode_request, encode_failure, encode_response
from handlers.signal_attribution import SignalAttribution
from handlers.text_attribution import TextAttribution

_LENGTH_BYTES = 4
_Inputs = Mapping[str, np.ndarray]


class Reasons(Protocol):
    """What explains the answers of one handler."""

    def explain(self, inputs: _Inputs, parameters: Mapping[str, Any]) -> Outputs: ...


class ImageReasons:
    """The image as the program takes it, where in it the answer was found, and the probabilities of the classes."""

    def __init__(self, handler: Handler, program: Path) -> None:
        self._handler, self._attribution = handler, Attribution(program)

    def explain(self, inputs: _Inputs, parameters: Mapping[str, Any]) -> Outputs:
        decoded = self._handler.decode(inputs, {})
        (images,) = decoded.arrays
        method, target = parameters["method"], parameters.get("class")
        places, values = self._attribution.attribute(images, method, parameters["num_steps"], target)
        return Outputs({"image": images, "attribution": places, "probabilities": values}, decoded.row_errors)


class SignalReasons:
    """The signal without gaps, how much each of its samples speaks for the answer, and the probabilities."""

    def __init__(self, handler: Handler, program: Path) -> None:
        self._handler, self._attribution = handler, SignalAttribution(program)

    def explain(self, inputs: _Inputs, parameters: Mapping[str, Any]) -> Outputs:
        decoded = self._handler.decode(inputs, {})
        (signals,) = decoded.arrays
        places, values = self._attribution.attribute(signals, parameters["num_steps"], parameters.get("class"))
        return Outputs({"signal": signals, "attribution": places, "probabilities": values}, decoded.row_errors)


class TextReasons:
    """The pieces of a text, how much each of them speaks for the answer, and the probabilities of the classes."""

    def __init__(self, handler: Handler, program: Path) -> None:
        self._handler, self._attribution = handler, TextAttribution(program)

    def explain(self, inputs: _Inputs, parameters: Mapping[str, Any]) -> Outputs:
        decoded = self._handler.decode(inputs, {})
        (pieces,) = decoded.arrays
        places, values = self._attribution.attribute(pieces, parameters["num_steps"], parameters.get("class"))
        names = self._handler.name_pieces(pieces)  # type: ignore[attr-defined]
        return Outputs({"pieces": names, "attribution": places, "probabilities": values}, decoded.row_errors)


class PromptReasons:
    """The words of a prompt, and how much each of them made likelier what follows."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def explain(self, inputs: _Inputs, parameters: Mapping[str, Any]) -> Outputs:
        prompts = inputs["prompt"]
        given = inputs.get("continuation", [None] * len(prompts))
        found = [self._explain_one(*pair) for pair in zip(prompts, given, strict=True)]
        rows = [row for row, _ in found]
        width = max(row["pieces"].shape[1] for row in rows)
        for row in rows:
            missing = ((0, 0), (0, width - row["pieces"].shape[1]))
            row["pieces"] = np.pad(row["pieces"], missing, constant_values=b"")
            row["attribution"] = np.pad(row["attribution"], missing)
        arrays = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        return Outputs(arrays, [error for _, error in found])

    def _explain_one(self, prompt: bytes, continuation: bytes | None) -> tuple[dict[str, np.ndarray], str | None]:
        try:
            return leave_words_out(self._handler, prompt, continuation), None
        except RowError as error:
            nothing = np.array([b""], np.object_)
            zeros = np.zeros((1, 1), np.float32)
            return {"pieces": nothing[None], "attribution": zeros, "text": nothing, "score": zeros[0]}, str(error)


class OwnReasons:
    """The answer of a model that tells itself what it looked at."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def explain(self, inputs: _Inputs, parameters: Mapping[str, Any]) -> Outputs:
        return self._handler.infer(inputs, {}, self._handler.output_names)


def find_reasons(handler: Handler, folder: Path) -> Reasons:
    """Choose what explains a handler's answers, by what it takes and gives.

    Raises:
        AttributionError: nothing does.
    """
    if "alignment" in handler.output_names:
        return OwnReasons(handler)
    if "continuation" in handler.input_names:
        return PromptReasons(handler)
    program = folder / handler.manifest["programs"]["main"]
    if "signal" in handler.input_names:
        return SignalReasons(handler, program)
    return TextReasons(handler, program) if "text" in handler.input_names else ImageReasons(handler, program)


class Explainer:
    """Answer requests with the reasons of one archive's answers."""

    def __init__(self, folder: Path) -> None:
        handler = open_handler(folder, "cpu", 1)
        self._reasons = find_reasons(handler, folder)
        manifest = handler.manifest
        self._names = (manifest["model"], f"{manifest['release']}-{manifest['variant']}")

    def answer(self, body: bytes) -> bytes:
        try:
            inputs, parameters, *_ = decode_request(body)
            try:
                found = self._reasons.explain(inputs, parameters)
            except AttributionError as error:
                found = _answer_nothing(inputs, str(error))
            except ModuleNotFoundError as error:  # an image without captum
                found = _answer_nothing(inputs, f"this server cannot explain: {error.name} is not installed beside it")
            return encode_response(*self._names, found.arrays, list(found.row_errors))
        except Exception:  # noqa: BLE001
            return encode_failure(*self._names, traceback.format_exc())


def _answer_nothing(inputs: _Inputs, why: str) -> Outputs:
    num_rows = len(next(iter(inputs.values())))
    return Outputs({"attribution": np.zeros(num_rows, np.float32)}, [why] * num_rows)


def serve(explainer: Explainer, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until nobody asks any more."""
    while len(head := requests.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
        answer = explainer.answer(requests.read(int.from_bytes(head, "little")))
        answers.write(len(answer).to_bytes(_LENGTH_BYTES, "little") + answer)
        answers.flush()


def main() -> None:
    # What a library prints must not get between the answers.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        serve(Explainer(Path(sys.argv[1])), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
