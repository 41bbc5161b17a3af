"""A process that explains the answers of one archive: `python -m handlers.explain FOLDER`, in an unpacked archive.

Requests come through stdin and answers go through stdout, each a serialized OIP message behind its length in 4 bytes.
It ends when stdin does. It lives beside the workers, not in one: gradients take ten times an answer's time.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from handlers.archive import open_handler
from handlers.attribution import Attribution, AttributionError
from handlers.message import decode_request, encode_failure, encode_response

_LENGTH_BYTES = 4


class Explainer:
    """Answer requests with the image as the program takes it, where in it the answer was found, and the answer."""

    def __init__(self, folder: Path) -> None:
        self._handler = open_handler(folder, "cpu", 1)
        self._attribution = Attribution(folder / self._handler.manifest["programs"]["main"])
        manifest = self._handler.manifest
        self._names = (manifest["model"], f"{manifest['release']}-{manifest['variant']}")

    def answer(self, body: bytes) -> bytes:
        try:
            inputs, parameters, _ = decode_request(body)
            return encode_response(*self._names, *self._explain(inputs, parameters))
        except Exception:  # noqa: BLE001
            return encode_failure(*self._names, traceback.format_exc())

    def _explain(
        self, inputs: dict[str, np.ndarray], parameters: dict[str, Any]
    ) -> tuple[dict[str, np.ndarray], list[str | None]]:
        decoded = self._handler.decode(inputs, {})
        (images,) = decoded.arrays
        try:
            places, values = self._attribution.attribute(
                images, parameters["method"], parameters["num_steps"], parameters.get("class")
            )
        except AttributionError as error:
            return {"image": images}, [str(error)] * len(images)
        arrays = {"image": images, "attribution": places, "probabilities": values}
        return arrays, list(decoded.row_errors)


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
