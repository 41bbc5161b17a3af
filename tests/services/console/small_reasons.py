"""Why the small models answer so: in the place of processes that would run their archives."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from handlers.message import decode_request, encode_response
from model_store.release import Release
from tests.services.console.small_texts import tell_opinions, value_word, write_on

Answers = dict[str, np.ndarray]


class SmallReasons:
    """What explains; `asked` are the parameters that it was given."""

    def __init__(self, answer: Callable[[str, Mapping[str, np.ndarray]], Answers]) -> None:
        """`answer` gives what a model answers to inputs."""
        self._answer = answer
        self.asked: list[Mapping[str, Any]] = []

    async def explain(self, release: Release, request: bytes) -> bytes:
        inputs, parameters, *_ = decode_request(request)
        self.asked.append(parameters)
        explain: Callable[[Mapping[str, np.ndarray]], Answers] = getattr(self, f"_explain_{release.model}")
        arrays = explain(inputs)
        return encode_response(release.model, f"{release.number}-eager", arrays, [])

    async def close(self) -> None:
        """End nothing."""

    def _explain_digits(self, inputs: Mapping[str, np.ndarray]) -> Answers:
        return _explain_image(read_images(inputs, 8), self._answer("digits", inputs)["probabilities"])

    def _explain_scenes(self, inputs: Mapping[str, np.ndarray]) -> Answers:
        return _explain_image(inputs["image"], self._answer("scenes", inputs)["area"])

    def _explain_beats(self, inputs: Mapping[str, np.ndarray]) -> Answers:
        probabilities = self._answer("beats", inputs)["probabilities"]
        return {"signal": inputs["signal"], "attribution": inputs["signal"], "probabilities": probabilities}

    def _explain_translator(self, inputs: Mapping[str, np.ndarray]) -> Answers:
        return self._answer("translator", inputs)

    def _explain_opinions(self, inputs: Mapping[str, np.ndarray]) -> Answers:
        words = _split(inputs["text"][0])
        return {
            "pieces": words[None],
            "attribution": np.array([[value_word(word.strip()) for word in words]], np.float32),
            "probabilities": tell_opinions(inputs)["probabilities"],
        }

    def _explain_novelist(self, inputs: Mapping[str, np.ndarray]) -> Answers:
        words = _split(inputs["prompt"][0])
        return {"pieces": words[None], "attribution": np.ones((1, len(words)), np.float32), **write_on(inputs)}


def read_images(inputs: Mapping[str, np.ndarray], size_px: int) -> np.ndarray:
    """Grey images uint8 [N, H, W, 1], given as they are or as files."""
    if "image" in inputs:
        return inputs["image"]
    files = (Image.open(io.BytesIO(file)).convert("L") for file in inputs["encoded"])
    return np.stack([np.asarray(file.resize((size_px, size_px), Image.Resampling.BOX))[..., None] for file in files])


def _explain_image(image: np.ndarray, values: np.ndarray) -> Answers:
    """Its upper half speaks for the answer, its lower half by half as much against it."""
    places = np.full(image.shape[:3], 0.5, np.float32)
    places[:, image.shape[1] // 2 :] = -0.25
    return {"image": image, "attribution": places, "probabilities": values}


def _split(text: bytes) -> np.ndarray:
    found = re.findall(rb"\s*\S+", text)
    words = np.empty(len(found), np.object_)
    words[:] = found
    return words
