"""`loadtest tune`: the settings with which `serve` should start on this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from host.cpu import count_cores
from host.progress import ProgressBar
from loadtests.capacity.tuning import Trial, choose_best, measure_held_rate, search_settings
from loadtests.options import ModelArgument, StoreOption, VersionOption, open_store
from loadtests.subject import find_variant
from model_store.settings import DEFAULT_ROOT
from model_store.tuning import TunedSettings, write_tuning

console = Console()


def tune_model(
    model: ModelArgument,
    bound_ms: Annotated[float, typer.Option("--bound", help="p99 to stay within, in ms", min=0.1)],
    version: VersionOption = "",
    store: StoreOption = DEFAULT_ROOT,
    trials: Annotated[int, typer.Option(help="settings to try, the default ones among them", min=2)] = 8,
    seconds: Annotated[float, typer.Option(help="seconds of the search for each one's rate", min=2)] = 20.0,
) -> None:
    """Search serve's settings under a bound and have it start with the best. Example: loadtest tune net --bound 50"""
    opened = open_store(store)
    release, variant = opened.resolve(model, version)
    subject = find_variant(release, variant)
    with ProgressBar("settings tried", total=trials) as bar:

        def try_settings(settings: TunedSettings) -> float:
            rate = measure_held_rate(store, subject, settings, bound_ms=bound_ms, search_s=seconds)
            bar.advance(1, f"{rate:,.0f} rows/s")
            return rate

        found = search_settings(try_settings, max_rows=subject.manifest.max_rows, cores=count_cores(), trials=trials)
    console.print(_make_table(subject.name, found, bound_ms))
    tuning = choose_best(subject, found, bound_ms)
    path = write_tuning(store, tuning)
    gain = tuning.rows_per_s / tuning.default_rows_per_s if tuning.default_rows_per_s else float("inf")
    console.print(f"{gain:.2f} times the default's rate; `serve` starts with it: {path}", highlight=False)


def _make_table(name: str, found: list[Trial], bound_ms: float) -> Table:
    columns = ("workers", "threads", "rows a batch", "batches a worker", "rows/s")
    table = Table(*columns, title=f"{name}: highest rate within {bound_ms:g} ms (p99); the first are the defaults")
    best = max(trial.rows_per_s for trial in found)
    for trial in found:
        figure = f"{trial.rows_per_s:,.0f}" if trial.rows_per_s else "none held"
        shown = f"[green]{figure}[/]" if trial.rows_per_s == best else figure
        table.add_row(*map(str, trial.settings.model_dump().values()), shown)
    return table
