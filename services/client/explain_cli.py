"""The `explain` command: why a served model answered what it did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.client.connecting import ConnectByRest, connecting_by_rest
from services.client.ending import run_to_its_end
from services.client.explanation import Explanation, explain
from services.client.explanation_picture import draw_explanations
from services.client.options import JsonOption, VersionOption

app = typer.Typer(add_completion=False)


@app.command(no_args_is_help=True)
@connecting_by_rest
def run(
    model: Annotated[str, typer.Argument(help="name of a served model")],
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT…", help="image files, one file of signals (.csv, .npy), or texts")
    ],
    label: Annotated[str, typer.Option(help="what to explain; none: the likeliest")] = "",
    method: Annotated[str, typer.Option(help="integrated-gradients, grad-cam or ablation; none: the model's own")] = "",
    num_steps: Annotated[
        int, typer.Option(help="points from nothing to the input; more bring the sum nearer", min=8, max=256)
    ] = 32,
    out: Annotated[Path | None, typer.Option(help="draw images or signals here, as .png", dir_okay=False)] = None,
    *,
    connect: ConnectByRest,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say why a model answers so. Example: explain classifier a.png --out attribution.png"""
    client = connect()
    found = explain(client, model, inputs, version=version, label=label, method=method, num_steps=num_steps)
    if out is not None:
        draw_explanations(found, out)
    if as_json:
        print(json.dumps([_describe(each) for each in found]))
    else:
        print_table = _print_pieces if found[0].kind == "text" else _print_places
        print_table(model, found)


def _describe(found: Explanation) -> dict[str, object]:
    described: dict[str, object] = {found.kind: found.name, "version": found.version}
    described |= {"text": found.text} if found.text else {"label": found.label, "probability": found.probability}
    if found.kind == "text":
        described["pieces"] = _read_pieces(found)
    return described | {"attribution": found.places.tolist()}


def _print_places(model: str, found: Sequence[Explanation]) -> None:
    table = Table(
        *(found[0].kind, "label", "probability", "places for it", "against it", "strongest place"),
        title=f"{model} {found[0].version}",
        title_justify="left",
    )
    for each in found:
        strongest = np.unravel_index(np.abs(each.places).argmax(), each.places.shape)
        table.add_row(
            escape(Path(each.name).name if each.kind == "image" else each.name),
            escape(each.label),
            f"{each.probability:.1%}",
            f"{each.places.clip(0).sum():+.3f}",
            f"{each.places.clip(max=0).sum():+.3f}",
            f"{', '.join(map(str, strongest))}: {each.places[strongest]:+.3f}",
        )
    Console().print(table)


def _print_pieces(model: str, found: Sequence[Explanation]) -> None:
    for each in found:
        answer = each.text or f"{each.label} {each.probability:.1%}"
        table = Table("piece", "counts")
        for piece, place in zip(_read_pieces(each), each.places, strict=True):
            table.add_row(escape(piece), f"{place:+.3f}")
        Console().print(escape(f"{model} {each.version}: {answer}"), table)


def _read_pieces(found: Explanation) -> list[str]:
    return [piece.decode(errors="replace") for piece in found.seen]


def main() -> None:
    """Run the command."""
    run_to_its_end("explain", app)
