"""The `loadtest` command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import accumulate, islice
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console

from host.progress import ProgressBar
from loadtests.addresses import Addresses
from loadtests.bench.cli import app as bench
from loadtests.campaign import GENERATORS, Campaign
from loadtests.capacity.command import certify_model
from loadtests.capacity.tune_command import tune_model
from loadtests.generate.plan import Remote
from loadtests.generate.processes import work_for
from loadtests.generate.standing import start_generators
from loadtests.judge.difference import compare_results
from loadtests.measure.host import describe_host
from loadtests.options import (
    GrpcUrlOption,
    HttpUrlOption,
    MetricsUrlOption,
    ModelsArgument,
    RowsOption,
    ServeOption,
    StoreOption,
    VersionOption,
    default_report_folder,
    name_command,
    name_moment,
    open_release,
    open_server,
    open_store,
)
from loadtests.peers.command import peers
from loadtests.presets import PRESETS, Preset, estimate_campaign_s, fit_preset
from loadtests.report import write_report
from loadtests.report.comparison_page import write_comparison
from loadtests.report.summary import print_summary
from loadtests.report.table import make_comparison
from loadtests.results import ModelResults, Results, read_results, write_results
from loadtests.scenario_command import run_file
from loadtests.subject import choose_subjects
from loadtests.watch import watch
from model_store.exit_status import exit_status_of
from model_store.release import Release
from model_store.settings import DEFAULT_ROOT
from model_store.signing import VerificationError
from services.client import ClientError, Tls
from services.client.credentials import KEY_VARIABLE
from services.client.options import TlsCaOption, TlsCertOption, TlsKeyOption

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Measure served models. Example: loadtest run classifier --serve --preset demo",
)
app.add_typer(bench, name="bench")
app.command("certify")(certify_model)
app.command("tune")(tune_model)
app.command()(watch)
app.command()(peers)
app.command("scenario")(run_file)
console = Console()


@app.callback()
def take_key(
    api_key: Annotated[
        str | None, typer.Option(help="key for a server that asks who calls; better as MILLRACE_API_KEY")
    ] = None,
) -> None:
    """Give the key to all that sends requests, processes of their own among it."""
    if api_key is not None:
        os.environ[KEY_VARIABLE] = api_key


@app.command()
def run(
    models: ModelsArgument = None,
    store: StoreOption = DEFAULT_ROOT,
    serve: ServeOption = False,
    variants: Annotated[
        str | None,
        typer.Option(
            help="beside each model's reference and default: names, comma-separated, front (no other is as good and "
            "better in something) or all [default: all of one model, front of several]"
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"how thoroughly: {', '.join(PRESETS)} [default: demo; for several models without --minutes brief]"
        ),
    ] = None,
    bound_ms: Annotated[
        float | None,
        typer.Option("--bound", help="p99 to stay within, in ms; none: from each model's own service time", min=0.1),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="shorten all steps so that measuring ends in so many; none: as the preset has them"),
    ] = None,
    processes: Annotated[int, typer.Option(help="Locust processes that share the callers of a level", min=1)] = 1,
    workers: Annotated[
        int,
        typer.Option(help="Locust workers on other machines that make the calls instead (`loadtest worker`)", min=0),
    ] = 0,
    listen: Annotated[str, typer.Option(help="host:port that they connect to")] = "0.0.0.0:5557",
    out: Annotated[Path | None, typer.Option(help="folder of the report [default: reports/<date>-<time>]")] = None,
    grpc_url: GrpcUrlOption = "localhost:8001",
    http_url: HttpUrlOption = "http://localhost:8000",
    metrics_url: MetricsUrlOption = "http://localhost:8002/metrics",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
) -> None:
    """Load-test variants of MODELS and write a report. Example: loadtest run classifier --serve --preset full"""
    releases = [open_release(store, model) for model in models or list_models(store)]
    preset = _choose_preset(preset, len(releases), minutes)
    words = _choose_variants(variants, len(releases))
    folder = out or default_report_folder()
    folder.mkdir(parents=True, exist_ok=True)
    host = describe_host()
    tls = Tls(ca=tls_ca, certificate=tls_cert, key=tls_key)
    given = Addresses(grpc=grpc_url, http=http_url, metrics=metrics_url, tls=tls)
    plan, planned_s = _plan(preset, releases, words, minutes)
    found: list[ModelResults] = []
    scraped_by = ""
    names = [release.model for release in releases]
    if serve:  # a server's start leaves a core idle for seconds
        start_generators(GENERATORS)
    with (
        open_server(serve, store, names, folder, given, ("default", "reference", *words)) as addresses,
        ProgressBar("measuring, s", total=round(sum(planned_s))) as bar,
    ):
        campaign = Campaign(
            addresses=addresses,
            preset=plan,
            bound_ms=bound_ms,
            processes=processes,
            remote=Remote(address=listen, num_workers=workers) if workers else None,
            advance=lambda what, planned_s: bar.advance(round(planned_s), what),
            variants=words,
        )
        ends_s = accumulate(planned_s, initial=monotonic())  # what one model leaves of its time, others may use
        for release, end_s in zip(releases, islice(ends_s, 1, None), strict=True):
            measured, scraped_by = campaign.measure(release, end_s)
            found.append(measured)
    results = Results(
        name=folder.name,
        created=name_moment(),
        command=name_command(),
        preset=preset,
        host=host,
        scraped_by=scraped_by,
        models=tuple(found),
    )
    write_results(results, folder)
    print_summary(results, console)
    console.print(f"Report: {write_report(results, folder)}")


def _choose_preset(given: str | None, num_models: int, minutes: float | None) -> str:
    preset = given or ("demo" if num_models == 1 or minutes is not None else "brief")
    if preset not in PRESETS:
        raise typer.BadParameter(f"there is no preset {preset!r}; use one of {', '.join(PRESETS)}")
    return preset


def _choose_variants(given: str | None, num_models: int) -> list[str]:
    words = ("all" if num_models == 1 else "front") if given is None else given
    return [word.strip() for word in words.split(",") if word.strip()]


def _plan(
    preset: str, releases: Sequence[Release], variants: Sequence[str], minutes: float | None
) -> tuple[Preset, list[float]]:
    """Shorten a preset to the minutes, if there are any; also return how many seconds each model will take."""
    num_variants = [len(choose_subjects(release, variants)) for release in releases]
    plan = PRESETS[preset] if minutes is None else fit_preset(PRESETS[preset], num_variants, 60 * minutes)
    return plan, [estimate_campaign_s(plan, number) for number in num_variants]


@app.command()
def worker(
    address: Annotated[str, typer.Argument(help="host:port where `loadtest run --workers` listens on its machine")],
) -> None:
    """Make the calls of a load test on another machine. Example: loadtest worker 10.0.0.5:5557

    It needs neither store nor plan; it ends some minutes after the last sweep, or by Ctrl-C.
    """
    work_for(address)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="folder with a results.json", file_okay=False)]) -> None:
    """Write a run's report again from its results.json. Example: loadtest report reports/2026-01-31-120000"""
    console.print(f"Report: {write_report(read_results(folder), folder)}")


@app.command()
def summary(folder: Annotated[Path, typer.Argument(help="folder with a results.json", file_okay=False)]) -> None:
    """Print a run's table. Example: loadtest summary reports/2026-01-31-120000"""
    print_summary(read_results(folder), console)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="folders with a results.json", file_okay=False)],
    out: Annotated[
        Path | None, typer.Option(help="file of the page, .html or .md; none: print Markdown", dir_okay=False)
    ] = None,
) -> None:
    """Put tests of several models or hosts on one page. Example: loadtest compare reports/* --out all.html"""
    if out is not None and out.suffix not in (".html", ".md"):
        raise typer.BadParameter(f"{out} ends in neither .html nor .md", param_hint="--out")
    tests = [read_results(folder) for folder in folders]
    if out is None:
        print(make_comparison(tests), end="")
        return
    if out.suffix == ".html":
        write_comparison(tests, out)
    else:
        out.write_text(make_comparison(tests), encoding="utf-8")
    console.print(f"Page: {out}")


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="folder of the test to compare with", file_okay=False)],
    second: Annotated[Path, typer.Argument(help="folder of the test that is judged", file_okay=False)],
) -> None:
    """Compare two tests; exit status 1 where the second is worse beyond noise. Example: loadtest diff before after"""
    differences = compare_results(read_results(first), read_results(second))
    for item in differences:
        colour, word = ("red", "WORSE") if item.is_regression else ("green", "no regression")
        pairs = f"{item.pairs} pair{'s' if item.pairs > 1 else ''}"
        console.print(
            f"[{colour}]{word}[/] {item.model} {item.variant}, {item.metric}: {item.ratio:.3f}× "
            f"({item.low:.3f} to {item.high:.3f}, {pairs}; {item.detectable:.0%} would have been seen)",
            highlight=False,
        )
    raise typer.Exit(1 if any(item.is_regression for item in differences) else 0)


@app.command()
def ui(
    model: Annotated[str, typer.Argument(help="model in the store")],
    version: VersionOption = "",
    store: StoreOption = DEFAULT_ROOT,
    rows: RowsOption = 1,
    processes: Annotated[int, typer.Option(help="Locust processes", min=1)] = 1,
    web_port: Annotated[int, typer.Option(help="port of the web page, on 127.0.0.1")] = 8089,
    grpc_url: GrpcUrlOption = "localhost:8001",
    http_url: HttpUrlOption = "http://localhost:8000",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
) -> None:
    """Open Locust's web page with users for a model: ramps, spikes, soaks. Example: loadtest ui classifier"""
    open_release(store, model)
    files = ",".join(str(Path(__file__).parent / "generate" / name) for name in ("locustfile.py", "shapes.py"))
    command = [sys.executable, "-m", "locust", "-f", files, "--class-picker"]
    command += ["--web-host", "127.0.0.1", "--web-port", str(web_port), "--processes", str(processes)]
    command += ["--model", model, "--model-version", version, "--store", str(store), "--rows", str(rows)]
    command += ["--grpc-url", grpc_url, "--http-url", http_url]
    for option, path in (("--tls-ca", tls_ca), ("--tls-cert", tls_cert), ("--tls-key", tls_key)):
        command += [] if path is None else [f"--caller-{option.removeprefix('--')}", str(path)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


def list_models(store: Path) -> list[str]:
    """List the models of a store.

    Raises:
        typer.BadParameter: it has none.
    """
    models = open_store(store).models()
    if not models:
        raise typer.BadParameter(f"{store} holds no release; make one with `train` and `release`, or give --store")
    return models


def main() -> None:
    """Run the command; what went wrong is one message on stderr and an exit status of `model_store.exit_status`."""
    # Between fork and exec of a child (`end_with_parent`) gRPC's fork handlers would start a poller that aborts it.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped
    try:
        app()
    except (ClientError, RuntimeError, VerificationError, LookupError, OSError, ValueError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        sys.exit(exit_status_of(error))
