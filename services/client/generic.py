"""`infer MODEL --input name=file.npy --out out.npz`: call any model with arrays, files or texts."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.client.arguments import INPUT_FORMS, read_inputs, read_parameter
from services.client.connecting import Connect, connecting
from services.client.inference import ModelMetadata
from services.client.options import JsonOption, VersionOption


@connecting
def run(
    context: typer.Context,
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|TEXT]…", help="rows as .json or .npy; files or texts for a model that takes them"
        ),
    ] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", help=f"{INPUT_FORMS}; repeatable")] = None,
    parameters: Annotated[list[str] | None, typer.Option("--param", help="name=value; repeatable")] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--output", help="output wanted; repeatable, none: the defaults")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write the outputs to this .npz file", dir_okay=False)] = None,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Call any model; without inputs, show what it takes. Example: infer net --input "x=[[1, 2]]" --out y.npz"""
    model = context.info_name or ""
    with connect() as client:
        if not inputs and not values:
            _print_metadata(client.metadata(model, version=version))
            return
        answer = client.infer(
            model,
            read_inputs(inputs or (), values or (), functools.cache(lambda: client.metadata(model, version=version))),
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


def _print_metadata(metadata: ModelMetadata) -> None:
    table = Table(
        "",
        "tensor",
        "datatype",
        "shape",
        "meaning",
        title=f"{metadata.name}: {', '.join(metadata.versions)}",
        title_justify="left",
    )
    for kind, tensors in (("input", metadata.inputs), ("output", metadata.outputs)):
        for tensor in tensors:
            meaning = metadata.properties.get(f"{kind}.{tensor.name}", "")
            table.add_row(kind, tensor.name, tensor.datatype, str(list(tensor.shape)), escape(meaning))
    for name, meaning in metadata.properties.items():
        if name.startswith("parameter."):
            table.add_row("parameter", name.removeprefix("parameter."), "", "", escape(meaning))
    Console().print(table)
    if sets := metadata.properties.get("input_sets"):
        typer.echo(f"send {sets}")


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
