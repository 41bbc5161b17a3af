"""How a person calls a served model, ready to paste: made from its manifest and its signed examples."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.manifest import Manifest
from model_store.settings import DEFAULT_GRPC_PORT

# More than this is a file, not a part of a command.
MAX_INLINE_VALUES = 32
MAX_INLINE_CHARACTERS = 80
_DEFAULT_GRPC = f"localhost:{DEFAULT_GRPC_PORT}"


@dataclass(frozen=True, slots=True)
class ExampleBody:
    """One example row in the form that `POST /v1/NAME` takes."""

    content: bytes
    media_type: str
    file_name: str


@dataclass(frozen=True, slots=True)
class ExampleCall:
    """Commands that answer; `fetch` gets the file that the others name, '' where they need none."""

    fetch: str
    curl: str
    infer: str

    @property
    def lines(self) -> list[str]:
        """The commands in the order in which they are typed."""
        return [line for line in (self.fetch, self.curl, self.infer) if line]


def describe_call(
    manifest: Manifest,
    examples: Mapping[str, np.ndarray],
    *,
    rest: str = "localhost:8000",
    grpc: str = _DEFAULT_GRPC,
    curl_options: str = "",
    infer_options: str = "",
) -> ExampleCall:
    """Describe how to call a model that answers at these addresses, with an example row of its release."""
    name = manifest.model
    curl = f"curl {curl_options}".rstrip()
    url = ("" if grpc == _DEFAULT_GRPC else f" --url {grpc}") + f" {infer_options}".rstrip()
    usage = f"infer {name} {manifest.usage}{url}" if manifest.usage else ""
    body = example_body(manifest, examples)
    if body is None:
        return ExampleCall("", f"{curl} {rest}/v2/models/{name}", usage or f"infer {name}{url}")
    if _fits_into_a_command(body):
        text = body.content.decode()
        argument = _inline_inputs(text) if body.media_type == "application/json" else shlex.quote(text)
        call = f"{curl} {rest}/v1/{name} -d {shlex.quote(text)}"
        return ExampleCall("", call, usage or f"infer {name} {argument}{url}")
    # Verbs of kinds that read texts take them, not their files.
    argument = f'"$(cat {body.file_name})"' if body.media_type.startswith("text/") else body.file_name
    return ExampleCall(
        f"{curl} -s {rest}/v1/{name}/example -o {body.file_name}",
        f"{curl} -T {body.file_name} {rest}/v1/{name}",
        usage or f"infer {name} {argument}{url}",
    )


def file_input(manifest: Manifest) -> str | None:
    """Name the input that takes a whole file or text: one BYTES element a row, and no other input needed."""
    for names in manifest.input_sets:
        needed = [tensor for name in names if (tensor := manifest.input(name)) and not tensor.optional]
        if len(needed) == 1 and needed[0].datatype == "BYTES" and needed[0].shape == (-1,):
            return needed[0].name
    return None


def example_body(manifest: Manifest, examples: Mapping[str, np.ndarray]) -> ExampleBody | None:
    """Make one example row into what the short way takes: a file or text where the model takes one, else JSON."""
    file = file_input(manifest)
    if file is None:
        return _json_body(manifest, examples)
    if file in examples:
        text = _short_text(examples[file])
        return None if text is None else ExampleBody(text.encode(), "text/plain; charset=utf-8", "example.txt")
    for name, rows in examples.items():
        tensor = manifest.input(name)
        if tensor is not None and tensor.datatype == "UINT8" and tensor.shape[3:] in ((1,), (3,)):
            return ExampleBody(_encode_png(rows[0]), "image/png", "example.png")
    return None


def _fits_into_a_command(body: ExampleBody) -> bool:
    if body.media_type == "application/json":
        inputs = json.loads(body.content)["inputs"].values()
        return sum(np.size(rows) for rows in inputs) <= MAX_INLINE_VALUES
    return body.media_type.startswith("text/") and len(body.content) <= MAX_INLINE_CHARACTERS


def _inline_inputs(text: str) -> str:
    inputs = json.loads(text)["inputs"]
    return " ".join(f"--input {shlex.quote(f'{name}={json.dumps(rows)}')}" for name, rows in inputs.items())


def _short_text(rows: np.ndarray) -> str | None:
    """The first text that fits into a command, else the first one; None where the rows are no texts."""
    texts = []
    for row in rows:
        try:
            texts.append(bytes(row).decode())
        except UnicodeDecodeError:
            return None
    return next((text for text in texts if len(text.encode()) <= MAX_INLINE_CHARACTERS), texts[0] if texts else None)


def _json_body(manifest: Manifest, examples: Mapping[str, np.ndarray]) -> ExampleBody | None:
    """One row of the largest set of inputs that the examples fill."""
    known = {name: rows for name in examples if (rows := _readable_row(examples[name])) is not None}
    filled = [
        [name for name in names if name in known]
        for names in manifest.input_sets
        if all(name in known or _is_optional(manifest, name) for name in names)
    ]
    names = max(filled, key=len, default=[])
    if not names:
        return None
    content = json.dumps({"inputs": {name: known[name] for name in names}})
    return ExampleBody(content.encode(), "application/json", "example.json")


def _is_optional(manifest: Manifest, name: str) -> bool:
    tensor = manifest.input(name)
    return tensor is not None and tensor.optional


def _readable_row(rows: np.ndarray) -> list[Any] | None:
    """The first row with its row dimension, floats with few digits; None where JSON has no word for a value."""
    if rows.dtype == np.object_ or not len(rows) or not np.isfinite(rows[:1]).all():
        return None
    values: list[Any] = (
        np.vectorize(_round, otypes=[float])(rows[:1]) if rows.dtype.kind == "f" else rows[:1]
    ).tolist()
    return values


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _encode_png(image_HWC: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else image_HWC).save(file, "PNG")
    return file.getvalue()
