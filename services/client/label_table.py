"""Classifications as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.client.classification import Classification


def print_labels(model: str, what: str, names: Sequence[str], results: Sequence[Classification]) -> None:
    """Print the labels of each row below each other; `names` are the rows' own, `what` heads their column."""
    table = Table(what, "label", "probability", title=f"{model} {results[0].version}", title_justify="left")
    for name, result in zip(names, results, strict=True):
        if result.error:
            table.add_row(escape(name), f"[red]{escape(result.error)}[/red]", "")
        for rank, score in enumerate(result.top):
            table.add_row(escape(name) if rank == 0 else "", escape(score.label), f"{score.probability:.1%}")
    Console().print(table)
