"""What can be tried: each model's versions, manifests and examples."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from model_store.examples import read_examples
from model_store.golden import take_rows
from model_store.interface import Tensor
from model_store.latents import draw_latents
from model_store.manifest import Manifest
from model_store.tensors import datatype_of, encode_raw
from services.catalogue import ServedVariant
from services.console.explain import list_methods
from services.gateway.caller import may_see
from services.gateway.core import Gateway
from services.gateway.errors import UnknownPathError
from services.gateway.rest_answers import make_answer_response
from services.gateway.rest_messages import OutputEncoding
from services.gateway.rest_screen import describe_caller
from services.gateway.tensors import InferAnswer, NamedTensor

MAX_EXAMPLES = 32
THUMBNAIL_PX = 64
MAX_TEXT_CHARS = 200
MAX_LATENT_SIZE = 65_536


def add_model_routes(app: FastAPI, gateway: Gateway, grpc_port: int) -> None:
    @app.get("/api/server", summary="Where the other protocols are", tags=["console"])
    async def describe_server() -> dict[str, Any]:
        return {"grpc_port": grpc_port}

    @app.get("/api/models", summary="Models, their versions and whether they answer", tags=["console"])
    async def list_models(request: Request) -> list[dict[str, Any]]:
        caller = describe_caller(request)
        return [_describe_model(gateway, name) for name in gateway.catalogue.models if may_see(caller, name)]

    @app.get("/api/models/{model}", summary="The manifest of a model version", tags=["console"])
    async def manifest(model: str, version: str = "") -> dict[str, Any]:
        return gateway.find_variant(model, version).manifest.model_dump(mode="json")

    @app.get("/api/models/{model}/examples", summary="Signed example rows to look at", tags=["console"])
    async def list_examples(model: str, version: str = "") -> list[dict[str, Any]]:
        variant = gateway.find_variant(model, version)
        return await asyncio.to_thread(_describe_examples, variant)

    @app.get(
        "/api/models/{model}/examples/{row}",
        summary="An example row as an infer request",
        tags=["console"],
        responses={200: {"content": {"application/octet-stream": {}}}},
        response_class=Response,
    )
    async def example(model: str, row: int, version: str = "") -> Response:
        """Give the body of an inference in the binary tensor extension, as `infer` takes it."""
        variant = gateway.find_variant(model, version)
        return _encode_row(variant, await asyncio.to_thread(read_examples, variant.examples), row)

    @app.get("/api/latents", summary="The latent vectors that seeds stand for", tags=["console"])
    async def latents(
        seed: list[int] = Query(max_length=16), size: int = Query(ge=1, le=MAX_LATENT_SIZE)
    ) -> list[list[float]]:
        return draw_latents(seed, size).tolist()


def _describe_model(gateway: Gateway, name: str) -> dict[str, Any]:
    """Tell what a caller may choose among; `takes` is what a person gives a model: a picture, a text, or numbers.

    `explained_by` are the methods that the verb `explain` has for it.
    """
    manifest = gateway.find_variant(name).manifest
    versions = []
    for version in gateway.catalogue.versions(name):
        variant = gateway.find_variant(name, version)
        state, reason = gateway.state_of(variant)
        size_bytes = variant.manifest.size_bytes
        versions.append({"version": version, "state": state, "reason": reason, "size_bytes": size_bytes})
    described = {"name": name, "kind": manifest.kind, "description": manifest.description}
    can = {"takes": _name_taken(manifest), "explained_by": list_methods(manifest)}
    return described | can | {"versions": versions}


def _name_taken(manifest: Manifest) -> str:
    if any(map(_is_picture, manifest.inputs)):
        return "picture"
    return "text" if any(tensor.datatype == "BYTES" for tensor in manifest.inputs) else "numbers"


def _is_picture(tensor: Tensor) -> bool:
    return tensor.datatype == "UINT8" and len(tensor.shape) == 4 and tensor.shape[3] in (1, 3)


def _describe_examples(variant: ServedVariant) -> list[dict[str, Any]]:
    """Describe each row by what a person can see of it: a small picture, a text, or nothing but its number."""
    examples = read_examples(variant.examples)
    num_rows = min(MAX_EXAMPLES, *map(len, examples.values())) if examples else 0
    pictures = _find_images(variant.manifest, examples)
    texts = next((rows for rows in examples.values() if rows.dtype == np.object_), None)
    described = []
    for row in range(num_rows):
        shown: dict[str, Any] = {"row": row}
        if pictures is not None:
            shown["image"] = _draw_thumbnail(pictures[row])
        if texts is not None:
            shown["text"] = bytes(texts[row]).decode(errors="replace")[:MAX_TEXT_CHARS]
        described.append(shown)
    return described


def _find_images(manifest: Manifest, examples: Mapping[str, np.ndarray]) -> np.ndarray | None:
    for name, rows in examples.items():
        tensor = manifest.input(name)
        if tensor is not None and _is_picture(tensor):
            return rows
    return None


def _draw_thumbnail(image_HWC: np.ndarray) -> str:
    """Draw an image as a data URL, at most `THUMBNAIL_PX` wide and high."""
    from PIL import Image

    picture = Image.fromarray(image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else image_HWC)
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _encode_row(variant: ServedVariant, examples: Mapping[str, np.ndarray], row: int) -> Response:
    inputs = []
    for name, rows in examples.items():
        if not 0 <= row < len(rows):
            raise UnknownPathError(f"there is no example {row}; {variant.model} has 0 to {len(rows) - 1}")
        one = take_rows(rows[row:], 1)
        inputs.append(NamedTensor(name, datatype_of(one), one.shape, encode_raw(one)))
    answer = InferAnswer(variant.model, variant.version, "", inputs)
    return make_answer_response(answer, OutputEncoding({}, others=True))
