"""Rows and how unusual they are, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Deviating(Protocol):
    """What is said of a row."""

    @property
    def deviation(self) -> float: ...

    @property
    def is_unusual(self) -> bool: ...

    @property
    def version(self) -> str: ...

    @property
    def error(self) -> str: ...


def print_deviations(model: str, noun: str, names: Sequence[str], found: Sequence[Deviating], decimals: int) -> None:
    """Print a line for each row: its name, its deviation, and whether that is unusual; or why there is no answer."""
    table = Table(noun, "deviation", "unusual", title=f"{model} {found[0].version}", title_justify="left")
    for name, each in zip(names, found, strict=True):
        if each.error:
            table.add_row(escape(name), f"[red]{escape(each.error)}[/red]")
        else:
            table.add_row(escape(name), f"{each.deviation:.{decimals}f}", "yes" if each.is_unusual else "")
    Console().print(table)
