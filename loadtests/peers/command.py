"""`loadtest peers`: the same program behind other servers, ratios to ours, and a page of them."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadtests.measure.host import Host, describe_host
from loadtests.options import ModelArgument, StoreOption, default_report_folder, open_store
from loadtests.peers.catalogue import PEERS
from loadtests.peers.comparing import CALLERS, Comparison, Figures, compare_peer
from loadtests.peers.environments import cache_folder
from loadtests.peers.program import extract_program
from loadtests.server import run_server
from loadtests.subject import find_variant
from model_store.settings import DEFAULT_ROOT

console = Console()


def peers(
    model: ModelArgument,
    variant: Annotated[
        str, typer.Option(help="a variant of one program: `onnx`, or `eager` and `compiled` by torch")
    ] = "onnx",
    only: Annotated[str, typer.Option(help="comma-separated peers; none: all of them")] = "",
    store: StoreOption = DEFAULT_ROOT,
    repeats: Annotated[int, typer.Option(help="pairs measured of each figure", min=1)] = 3,
    seconds: Annotated[float, typer.Option(help="seconds of each measurement", min=0.5)] = 2.0,
    cache: Annotated[Path | None, typer.Option(help="where environments are kept [~/.cache/millrace/peers]")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the page [default: reports/peers-<date>-<time>]")] = None,
) -> None:
    """Compare our server with others that run the same ONNX or torch program. Example: loadtest peers classifier

    Each peer is installed into an environment of its own. One that cannot run says why.
    """
    known = {peer.name.lower(): peer for peer in PEERS}
    names = [name.strip().lower() for name in only.split(",") if name.strip()] or list(known)
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"there is no peer {', '.join(unknown)}; there are {', '.join(known)}")
    release, _ = open_store(store).resolve(model)
    subject = find_variant(release, variant)
    host = describe_host()
    with TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        program = extract_program(release, subject, folder)
        settings = {"threads": 1, "workers": 1}
        with run_server(store, [f"{model}:{release.number}"], folder, variants=(variant,), settings=settings) as server:
            ours = server.wait_ready()
            found = [
                compare_peer(
                    known[name],
                    program,
                    ours,
                    cache=cache or cache_folder(),
                    repeats=repeats,
                    seconds=seconds,
                    console=console,
                )
                for name in names
            ]
    console.print(make_table(f"{subject.name}, by {program.engine.name}", found))
    target = out or default_report_folder("peers-")
    target.mkdir(parents=True, exist_ok=True)
    (target / "peers.jsonl").write_text("".join(f"{item.model_dump_json()}\n" for item in found))
    page = target / "peers.md"
    page.write_text(write_page(subject.name, program.engine.name, found, host))
    console.print(f"Page: {page}")
    raise typer.Exit(0 if any(item.throughput for item in found) else 1)


def make_table(name: str, found: list[Comparison]) -> Table:
    """Make the table that a person reads."""
    table = Table(
        *("peer", "over", f"requests/s at {CALLERS} callers", "ratio", "mean ms, one caller", "ratio"),
        title=f"{name}: ours over each peer's; more requests and fewer ms are better",
    )
    for item in found:
        table.add_row(*_make_cells(item))
    return table


def write_page(name: str, engine: str, found: list[Comparison], host: Host) -> str:
    """Write the page, in Markdown."""
    lines = [
        f"# {name} behind other servers",
        "",
        f"The same program, run by {engine} on one thread in each, both servers up, measured in turn by h2load on the "
        f"same {host.cores_usable} cores ({host.cpu}). Ratios are medians of pairs with their range, ours over theirs.",
        "",
        f"| peer | over | requests/s at {CALLERS} callers | ratio | mean ms, one caller | ratio |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(_make_cells(item))} |" for item in found if item.throughput]
    lines += ["", *(f"- {item.peer} could not run: {item.why_not}" for item in found if item.why_not)]
    return "\n".join(lines).rstrip() + "\n"


def _make_cells(item: Comparison) -> list[str]:
    if item.throughput is None or item.latency is None:
        return [item.peer, item.over, f"cannot run: {item.why_not[:120]}", "", "", ""]
    return [item.peer, item.over, *_show(item.throughput, ",.0f"), *_show(item.latency, ",.2f")]


def _show(figures: Figures, form: str) -> list[str]:
    ours, theirs = (format(median(side), form) for side in (figures.ours, figures.theirs))
    return [f"{ours} ÷ {theirs}", f"{figures.ratio:.2f}× ({figures.lowest:.2f} to {figures.highest:.2f})"]
