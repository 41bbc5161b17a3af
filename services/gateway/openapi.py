"""What /docs and openapi.json say of bodies and failures, beyond what FastAPI finds out by itself."""

from __future__ import annotations

from typing import Any

from model_store.tensors import DTYPES

OIP_EXAMPLE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 1.5]}],
    "outputs": [{"name": "y"}],
}
ROWS_EXAMPLE = {"inputs": {"x": [[0.5, 1.5]]}}
INFER_BODY = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "inputs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                # With the binary extension `data` stays away, but then the body is not JSON alone.
                "required": ["name", "datatype", "shape", "data"],
                "properties": {
                    "name": {"type": "string"},
                    "datatype": {"type": "string", "enum": list(DTYPES)},
                    "shape": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
                    "data": {"type": "array"},
                },
            },
        },
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        "parameters": {"type": ["object", "null"]},
        "id": {"type": "string"},
    },
}
_ERROR = {
    "description": "What was wrong, what came, what to do; the request's id is in the log",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error", "request"],
                "properties": {"error": {"type": "string"}, "request": {"type": "string"}},
            }
        }
    },
}
ERRORS: dict[int | str, dict[str, Any]] = {"4XX": _ERROR, "5XX": _ERROR}
# A probe says whether, in the same words either way.
PROBES: dict[int | str, dict[str, Any]] = {
    503: {
        "description": "It does not answer now",
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["ready"], "properties": {"ready": {"type": "boolean"}}}
            }
        },
    }
}
FORM = {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
GENERATE_EXAMPLE = {"text": "156 days ago", "parameters": {"beam_size": 1}}
_NAMES = {"type": "array", "items": {"type": "string"}}
GENERATE_BODY = {
    "type": "object",
    "minProperties": 1,
    "properties": {"parameters": {"type": "object"}, "outputs": _NAMES},
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "An event for each bit of the answer", "content": {"text/event-stream": {}}}
}
EXAMPLES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What the model takes: a picture, a text, or rows",
        "content": {"image/png": {}, "text/plain": {}, "application/json": {}},
    }
}
