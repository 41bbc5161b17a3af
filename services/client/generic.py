"""`infer MODEL --input name=file.npy --out out.npz`: call any model with arrays from files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from services.client.client import Client
from services.client.inference import ModelMetadata
from services.client.options import DEFAULT_URL, JsonOption, TimeoutOption, UrlOption, VersionOption


def run(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", help="name=FILE.npy, name=FILE.npz:KEY or name=@FILE (its bytes as one row); repeatable"
        ),
    ] = None,
    parameters: Annotated[list[str] | None, typer.Option("--param", help="name=value; repeatable")] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--output", help="output wanted; repeatable, none: the defaults")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write the outputs to this .npz file", dir_okay=False)] = None,
    url: UrlOption = DEFAULT_URL,
    version: VersionOption = "",
    timeout_s: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Call any model; without --input, show what it takes. Example: infer scaler --input x=rows.npy --out y.npz"""
    model = context.info_name or ""
    with Client(url, timeout_s=timeout_s) as client:
        if not inputs:
            _print_metadata(client.metadata(model, version=version))
            return
        answer = client.infer(
            model,
            dict(read_input(text) for text in inputs),
            parameters=dict(read_parameter(text) for text in parameters or ()),
            version=version,
            outputs=outputs or (),
        )
    if out:
        np.savez(out, **{name: _as_plain(array) for name, array in answer.items()})  # type: ignore[arg-type]
    if as_json:
        print(json.dumps({name: _as_json(array) for name, array in answer.items()}))
    else:
        _print_arrays(answer)


def read_input(text: str) -> tuple[str, np.ndarray]:
    """Read `name=FILE.npy`, `name=FILE.npz:KEY` or `name=@FILE`.

    Raises:
        typer.BadParameter: the text has another form, or the file cannot be read.
    """
    name, equals, source = text.partition("=")
    if not (name and equals and source):
        raise typer.BadParameter(f"--input is name=FILE.npy, name=FILE.npz:KEY or name=@FILE, got {text!r}")
    try:
        if source.startswith("@"):
            row = np.empty(1, np.object_)
            row[0] = Path(source[1:]).read_bytes()
            return name, row
        path, _, key = source.partition(".npz:")
        if key:
            with np.load(f"{path}.npz", allow_pickle=False) as file:
                return name, file[key]
        return name, np.load(source, allow_pickle=False, mmap_mode="r")
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise typer.BadParameter(f"--input {name}: cannot read {source}: {error}") from None


def read_parameter(text: str) -> tuple[str, Any]:
    """Read `name=value`; true and false, whole numbers and decimals are taken as such.

    Raises:
        typer.BadParameter: the text has another form.
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"--param is name=value, got {text!r}")
    if value in ("true", "false"):
        return name, value == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def _print_metadata(metadata: ModelMetadata) -> None:
    table = Table(
        "",
        "tensor",
        "datatype",
        "shape",
        title=f"{metadata.name}: {', '.join(metadata.versions)}",
        title_justify="left",
    )
    for kind, tensors in (("input", metadata.inputs), ("output", metadata.outputs)):
        for tensor in tensors:
            table.add_row(kind, tensor.name, tensor.datatype, str(list(tensor.shape)))
    Console().print(table)


def _print_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    table = Table("output", "dtype", "shape", "first values")
    for name, array in arrays.items():
        values = ", ".join(str(value) for value in _as_json(array.ravel()[:4]))
        table.add_row(name, "bytes" if array.dtype == np.object_ else str(array.dtype), str(list(array.shape)), values)
    Console().print(table)


def _as_plain(array: np.ndarray) -> np.ndarray:
    # Object arrays would need pickle, which nobody should have to load.
    return array.astype(np.bytes_) if array.dtype == np.object_ else array


def _as_json(array: np.ndarray) -> list[Any]:
    if array.dtype == np.object_:
        return np.vectorize(lambda element: element.decode(errors="replace"), otypes=[object])(array).tolist()
    values: list[Any] = array.tolist()
    return values
