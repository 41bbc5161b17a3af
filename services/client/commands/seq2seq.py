"""`infer seq2seq "156 days ago"`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.client.connecting import Connect, connecting
from services.client.options import JsonOption, VersionOption
from services.client.text_lines import read_texts
from services.client.translation import Translation

# Imported late: only a picture needs the drawing library.


@connecting
def run(
    context: typer.Context,
    texts: Annotated[list[str] | None, typer.Argument(help="texts; lines of standard input if none")] = None,
    beam_size: Annotated[int | None, typer.Option(help="beams, 1 is greedy", min=1, show_default="model's")] = None,
    n_best: Annotated[int, typer.Option(help="answers to show for each text", min=1)] = 1,
    max_length: Annotated[int | None, typer.Option(help="most subword pieces of an answer", min=1)] = None,
    stream: Annotated[bool, typer.Option("--stream", help="show each answer as it is written")] = False,
    temperature: Annotated[float, typer.Option(help="with --stream: sample; 0 takes the likeliest", min=0)] = 0.0,
    seed: Annotated[int | None, typer.Option(help="with --stream: of the samples", show_default="chance")] = None,
    plot: Annotated[Path | None, typer.Option(help="draw the alignment of the first text here (.png)")] = None,
    *,
    connect: Connect,
    version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Translate or summarize texts. Example: infer seq2seq "156 days ago" --n-best 3 --plot alignment.png"""
    rows = read_texts(texts, "texts")
    if stream and (n_best > 1 or plot is not None or as_json):
        raise typer.BadParameter("--stream shows one answer as it is written: leave out --n-best, --plot, --json")
    if not stream and (temperature or seed is not None):
        raise typer.BadParameter("--temperature and --seed are for --stream")
    with connect() as client:
        if stream:
            for row in rows:
                for bit in client.translate_stream(
                    row,
                    beam_size=beam_size,
                    max_length=max_length,
                    temperature=temperature,
                    seed=seed,
                    model=str(context.info_name),
                    version=version,
                ):
                    print(bit.text, end="", flush=True)
                print()
            return
        results = client.translate(
            rows,
            beam_size=beam_size,
            num_hypotheses=n_best,
            max_length=max_length,
            alignments=plot is not None,
            model=str(context.info_name),
            version=version,
        )
    if as_json:
        print(json.dumps([{"source": row, **asdict(result)} for row, result in zip(rows, results, strict=True)]))
    else:
        _print_table(str(context.info_name), rows, results)
    if plot is not None and results[0].hypotheses:
        from services.client.alignment_picture import draw_alignment

        alignment = results[0].hypotheses[0].alignment
        assert alignment is not None
        draw_alignment(alignment, plot)
    if any(result.error for result in results):
        raise typer.Exit(1)


def _print_table(model: str, rows: list[str], results: list[Translation]) -> None:
    table = Table("text", "answer", "score", title=f"{model} {results[0].version}", title_justify="left")
    for row, result in zip(rows, results, strict=True):
        if result.error:
            table.add_row(escape(row), f"[red]{escape(result.error)}[/red]", "")
        for rank, hypothesis in enumerate(result.hypotheses):
            table.add_row(escape(row) if rank == 0 else "", escape(hypothesis.text), f"{hypothesis.score:.3f}")
    Console().print(table)
