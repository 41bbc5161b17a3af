"""Two small models of texts, beside the translator: one that tells opinions apart, one that writes on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Answers = dict[str, np.ndarray]

_WORTH = {"good": 1.0, "bad": -1.0}
OPINIONS = {
    "kind": "text_classifier",
    "description": "counts good and bad words",
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1], "meaning": "a text", "max_element_bytes": 65536}],
    "input_sets": [["text"]],
    "outputs": [
        {
            "name": "probabilities",
            "datatype": "FP32",
            "shape": [-1, 2],
            "meaning": "of each label",
            "singular": "probability",
        },
        {"name": "label", "datatype": "BYTES", "shape": [-1], "meaning": "the most probable"},
    ],
    "handler_options": {"labels": ["for", "against"]},
}
_PROMPT = {"name": "prompt", "datatype": "BYTES", "shape": [-1], "meaning": "the beginning", "max_element_bytes": 16384}
NOVELIST = {
    "kind": "language_model",
    "description": "goes on with the words there were",
    "inputs": [_PROMPT, _PROMPT | {"name": "continuation", "meaning": "to be measured", "optional": True}],
    "input_sets": [["prompt", "continuation"]],
    "outputs": [
        {"name": "text", "datatype": "BYTES", "shape": [-1], "meaning": "what follows"},
        {"name": "score", "datatype": "FP32", "shape": [-1], "meaning": "of what follows", "maximum": 0},
    ],
    "parameters": [{"name": "max_tokens", "kind": "int64", "meaning": "most words", "minimum": 1, "maximum": 9}],
}


def tell_opinions(inputs: Mapping[str, np.ndarray]) -> Answers:
    sums = np.array([sum(value_word(word) for word in text.split()) for text in inputs["text"]])
    good = 1 / (1 + np.exp(-sums))
    labels = np.where(good > 0.5, b"for", b"against").astype(object)
    return {"probabilities": np.stack([good, 1 - good], 1).astype(np.float32), "label": labels}


def write_on(inputs: Mapping[str, np.ndarray]) -> Answers:
    texts = inputs.get("continuation", inputs["prompt"])
    return {"text": texts, "score": np.array([-len(text) for text in texts], np.float32)}


def value_word(word: bytes) -> float:
    return _WORTH.get(word.decode().lower(), 0.0)
