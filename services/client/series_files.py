"""What commands share that take series of numbers: their argument, and what it names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from model_store.series import parse_series, read_series

SeriesArgument = Annotated[
    str, typer.Argument(help=".csv with a header and a column per series, .npy [N, T], or - for CSV on stdin")
]


def read_columns(series: str) -> dict[str, np.ndarray]:
    """Read series by name from a file, or from standard input where it is `-`; see `read_series`."""
    if series != "-":
        return read_series(Path(series))
    if sys.stdin.isatty():
        raise typer.BadParameter("there are no series: give a .csv or .npy file, or CSV on standard input")
    return parse_series(sys.stdin, "standard input")
