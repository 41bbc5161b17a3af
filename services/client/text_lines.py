"""Texts as commands are given them: arguments, or lines of standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer


def read_texts(arguments: Sequence[str] | None, what: str) -> list[str]:
    """Take the arguments, or where there are none the lines of standard input that are not empty.

    Raises:
        typer.BadParameter: there is no text; `what` names it in the message.
    """
    lines = [] if arguments or sys.stdin.isatty() else sys.stdin.readlines()
    texts = list(arguments or ()) or [line.strip() for line in lines if line.strip()]
    if not texts:
        raise typer.BadParameter(f"there is no text: give {what} as arguments or on standard input")
    return texts
