"""What `infer MODEL` is given on a command line, as named arrays: files, rows written out as JSON, texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from model_store.array_files import read_array
from model_store.parameters import ParameterValue, guess_parameter
from model_store.tensors import DTYPES
from services.client.inference import ModelMetadata, TensorMetadata

INPUT_FORMS = "name=FILE.npy, name=FILE.npz:KEY, name=@FILE (its bytes as one row) or name=JSON, as in x=[[1, 2]]"


def read_inputs(
    options: Sequence[str], values: Sequence[str], ask: Callable[[], ModelMetadata]
) -> dict[str, np.ndarray]:
    """Read `--input` options and bare values; `ask` gives the model's tensors where they decide what something is.

    Raises:
        typer.BadParameter: a text of another form, a file that cannot be read, rows that are not the model's.
    """
    inputs = dict(read_input(text, ask) for text in options)
    if not values:
        return inputs
    read = _read_json_file if Path(values[0]).suffix == ".json" else _read_elements
    if Path(values[0]).suffix == ".npy":
        read = _read_numpy_file
    return inputs | read(values, ask())


def read_input(text: str, ask: Callable[[], ModelMetadata]) -> tuple[str, np.ndarray]:
    """Read one `--input`.

    Raises:
        typer.BadParameter: the text has another form, or the file cannot be read.
    """
    name, equals, source = text.partition("=")
    if not (name and equals and source):
        raise typer.BadParameter(f"--input is {INPUT_FORMS}; got {text!r}")
    try:
        if source[0] in '["{' or (source[0] in "-0123456789" and not Path(source).exists()):
            return name, _convert(json.loads(source), _find_tensor(ask(), name))
        if source.startswith("@"):
            return name, _as_rows([Path(source[1:]).read_bytes()])
        path, _, key = source.partition(".npz:")
        if key:
            with np.load(f"{path}.npz", allow_pickle=False) as file:
                return name, file[key]
        return name, read_array(Path(source))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise typer.BadParameter(f"--input {name}: cannot read {source}: {error}") from None


def read_parameter(text: str) -> tuple[str, ParameterValue]:
    """Read `name=value`; true and false, whole numbers and decimals are taken as such.

    Raises:
        typer.BadParameter: the text has another form.
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"--param is name=value, got {text!r}")
    return name, guess_parameter(value)


def _read_json_file(values: Sequence[str], metadata: ModelMetadata) -> dict[str, np.ndarray]:
    """Read {"inputs": {name: rows}} or rows alone, as POST /v1/NAME takes them."""
    path = _only(values)
    try:
        content = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}") from None
    inputs: Any = content.get("inputs", content) if isinstance(content, dict) else content
    if not isinstance(inputs, Mapping):
        inputs = {_single(metadata, wants_bytes=False).name: inputs}
    return {name: _convert(rows, _find_tensor(metadata, name)) for name, rows in inputs.items()}


def _read_numpy_file(values: Sequence[str], metadata: ModelMetadata) -> dict[str, np.ndarray]:
    path = _only(values)
    try:
        return {_single(metadata, wants_bytes=False).name: read_array(Path(path))}
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}") from None


def _read_elements(values: Sequence[str], metadata: ModelMetadata) -> dict[str, np.ndarray]:
    """Take files' bytes, and what names no file as a text: one row each."""
    rows = [Path(value).read_bytes() if Path(value).is_file() else value.encode() for value in values]
    return {_single(metadata, wants_bytes=True).name: _as_rows(rows)}


def _only(values: Sequence[str]) -> str:
    if len(values) > 1:
        raise typer.BadParameter(f"give one file of rows, got {len(values)}")
    return values[0]


def _single(metadata: ModelMetadata, *, wants_bytes: bool) -> TensorMetadata:
    """Find the one input that takes files and texts, or the one that takes numbers."""
    fitting = [tensor for tensor in metadata.inputs if (tensor.datatype == "BYTES") == wants_bytes]
    if len(fitting) != 1:
        known = ", ".join(f"{tensor.name} ({tensor.datatype})" for tensor in metadata.inputs)
        what = "files or texts" if wants_bytes else "bare rows"
        raise typer.BadParameter(f"{metadata.name} takes no {what} but {known}: use --input {INPUT_FORMS}")
    return fitting[0]


def _find_tensor(metadata: ModelMetadata, name: str) -> TensorMetadata:
    for tensor in metadata.inputs:
        if tensor.name == name:
            return tensor
    known = ", ".join(tensor.name for tensor in metadata.inputs)
    raise typer.BadParameter(f"{metadata.name} has no input {name!r}; it has {known}")


def _convert(rows: Any, tensor: TensorMetadata) -> np.ndarray:
    """Convert JSON rows to the input's datatype; one row may come without its row dimension."""
    try:
        array = np.asarray(rows, DTYPES[tensor.datatype])
    except (TypeError, ValueError, OverflowError) as error:
        raise typer.BadParameter(f"--input {tensor.name} takes {tensor.datatype} values: {error}") from None
    if array.ndim == len(tensor.shape) - 1:
        array = array[None]
    return _as_rows([str(value).encode() for value in array.ravel()]) if array.dtype == np.object_ else array


def _as_rows(elements: Sequence[bytes]) -> np.ndarray:
    rows = np.empty(len(elements), np.object_)
    rows[:] = elements
    return rows
