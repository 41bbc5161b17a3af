"""`loadtest bench`: the figures that Millrace promises, each with its ratio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from loadtests.addresses import Addresses
from loadtests.bench.front_door import DEFAULT_TRITON, compare_front_door
from loadtests.bench.gateways import compare_gateways
from loadtests.bench.hot_path import measure_hot_path
from loadtests.bench.int8 import compare_int8
from loadtests.bench.lengths import compare_lengths
from loadtests.bench.open_loop import measure_open_loop
from loadtests.bench.overload import measure_overload
from loadtests.bench.polling import measure_polling
from loadtests.bench.protection import compare_protection
from loadtests.bench.served import compare_served
from loadtests.bench.shadow import compare_shadow, write_routing
from loadtests.bench.soak import Sample, measure_soak, read_processes
from loadtests.bench.startup import measure_startup
from loadtests.bench.streaming import measure_streams
from loadtests.bench.valve import compare_valve
from loadtests.bench.worker_start import measure_worker_start
from loadtests.measure.scraper import read_samples
from loadtests.options import (
    GrpcUrlOption,
    MeasureOption,
    MetricsUrlOption,
    ModelArgument,
    ModelsArgument,
    RepeatsOption,
    RowsOption,
    ServeOption,
    StoreOption,
    open_release,
)
from loadtests.server import run_server
from loadtests.subject import find_variant
from model_store.settings import DEFAULT_ROOT

GatewaysOption = Annotated[int, typer.Option(help="gateway processes of the server", min=1)]

app = typer.Typer(no_args_is_help=True, help="Figures with their ratios; exit status 1 where a bar is missed.")
console = Console()


@app.command()
def int8(
    model: ModelArgument,
    variant: Annotated[str, typer.Option(help="variant to compare")] = "int8",
    test_data: Annotated[
        Path | None,
        typer.Option(help="MNIST-like folder, or .npz with `image` and `label`: also measures accuracy", exists=True),
    ] = None,
    store: StoreOption = DEFAULT_ROOT,
    serve: ServeOption = False,
    repeats: RepeatsOption = 5,
    seconds: MeasureOption = 5.0,
    grpc_url: GrpcUrlOption = "localhost:8001",
) -> None:
    """Served int8 or onnx-int8 against eager. Example: loadtest bench int8 classifier --serve --variant onnx-int8"""
    release = open_release(store, model)
    with _open_server(serve, store, model, (variant, "eager"), grpc_url) as to:
        reached = compare_int8(
            release,
            to.grpc,
            variant=variant,
            test_data=test_data,
            repeats=repeats,
            measure_s=seconds,
            console=console,
        )
        _exit(reached)


@app.command()
def served(
    model: ModelArgument,
    variant: Annotated[str, typer.Option(help="variant to compare")] = "int8",
    output: Annotated[
        list[str] | None, typer.Option(help="output to ask for; repeat it; none: the default ones")
    ] = None,
    store: StoreOption = DEFAULT_ROOT,
    serve: ServeOption = False,
    repeats: RepeatsOption = 5,
    seconds: MeasureOption = 5.0,
    grpc_url: GrpcUrlOption = "localhost:8001",
) -> None:
    """A served variant against the same program in process. Example: loadtest bench served gan --output encoded"""
    release = open_release(store, model)
    subject = find_variant(release, variant, output or ())
    with _open_server(serve, store, model, (variant,), grpc_url) as to:
        _exit(compare_served(release, subject, to.grpc, repeats=repeats, measure_s=seconds, console=console))


@app.command()
def lengths(
    model: ModelArgument,
    variant: Annotated[str, typer.Option(help="variant to measure")] = "int8",
    joined: Annotated[int, typer.Option(help="example texts that make one long text", min=2)] = 4,
    store: StoreOption = DEFAULT_ROOT,
    serve: ServeOption = False,
    repeats: RepeatsOption = 5,
    seconds: MeasureOption = 2.0,
    grpc_url: GrpcUrlOption = "localhost:8001",
) -> None:
    """Short texts beside long ones against short texts alone. Example: loadtest bench lengths seq2seq --serve"""
    subject = find_variant(open_release(store, model), variant)
    with _open_server(serve, store, model, (variant,), grpc_url) as to:
        _exit(compare_lengths(subject, to.grpc, joined=joined, repeats=repeats, measure_s=seconds, console=console))


@app.command()
def stream(
    model: ModelArgument,
    variant: Annotated[str, typer.Option(help="variant to measure")] = "int8",
    streams: Annotated[int, typer.Option(help="streams at once", min=1)] = 16,
    tokens: Annotated[int, typer.Option(help="tokens that each tells", min=2)] = 32,
    store: StoreOption = DEFAULT_ROOT,
    serve: ServeOption = False,
    repeats: RepeatsOption = 10,
    grpc_url: GrpcUrlOption = "localhost:8001",
) -> None:
    """First tokens and steps of streams that share them. Example: loadtest bench stream seq2seq --serve"""
    release = open_release(store, model)
    subject = find_variant(release, variant)
    with _open_server(serve, store, model, (variant,), grpc_url) as to:
        _exit(
            measure_streams(
                release, subject, to.grpc, num_streams=streams, num_tokens=tokens, repeats=repeats, console=console
            )
        )


@app.command()
def startup(
    models: ModelsArgument = None,
    store: StoreOption = DEFAULT_ROOT,
    repeats: RepeatsOption = 3,
) -> None:
    """From `serve` to ready, and from Ctrl-C to nothing left. Example: loadtest bench startup classifier"""
    _exit(measure_startup(store, models or [], repeats=repeats, console=console))


@app.command()
def worker(
    model: ModelArgument,
    variant: Annotated[str, typer.Option(help="variant to start")] = "onnx-int8",
    store: StoreOption = DEFAULT_ROOT,
    repeats: RepeatsOption = 5,
) -> None:
    """From a worker's interpreter to its first answer, and its memory. Example: loadtest bench worker classifier"""
    release = open_release(store, model)
    _exit(measure_worker_start(release, find_variant(release, variant), repeats=repeats, console=console))


@app.command()
def overload(
    model: ModelArgument,
    variant: Annotated[str, typer.Option(help="variant to overload")] = "int8",
    valve: Annotated[
        str, typer.Option(help="faster variant that answers callers who take any: measures refusals with and without")
    ] = "",
    bound_ms: Annotated[float, typer.Option("--bound", help="ms that each call may take", min=1)] = 100.0,
    rows: RowsOption = 4,
    store: StoreOption = DEFAULT_ROOT,
    serve: ServeOption = False,
    repeats: RepeatsOption = 1,
    seconds: MeasureOption = 60.0,
    grpc_url: GrpcUrlOption = "localhost:8001",
    metrics_url: MetricsUrlOption = "http://localhost:8002/metrics",
) -> None:
    """Poisson traffic at 1.5 and 3 times the capacity.

    Examples: loadtest bench overload classifier --serve; the same with --variant compiled --valve int8 --seconds 15
    """
    release = open_release(store, model)
    subject = find_variant(release, variant)
    variants = (variant, valve) if valve else (variant,)
    with _open_server(serve, store, model, variants, grpc_url, metrics_url) as to:
        if valve:
            reached = compare_valve(
                subject,
                find_variant(release, valve),
                to.grpc,
                bound_ms=bound_ms,
                rows=rows,
                repeats=repeats,
                measure_s=seconds,
                console=console,
            )
        else:
            reached = measure_overload(
                subject,
                to.grpc,
                read_memory_bytes=lambda: read_samples(to.metrics)["process_resident_memory_bytes"],
                bound_ms=bound_ms,
                rows=rows,
                measure_s=seconds,
                console=console,
            )
    _exit(reached)


@app.command()
def front_door(
    triton_python: Annotated[
        Path, typer.Option(help="interpreter of an environment with nvidia-pytriton")
    ] = DEFAULT_TRITON,
    repeats: RepeatsOption = 5,
    seconds: MeasureOption = 5.0,
) -> None:
    """Our front door against Triton's, a tiny network behind both. Example: loadtest bench front-door"""
    _exit(compare_front_door(triton_python, repeats=repeats, measure_s=seconds, console=console))


@app.command()
def hot_path(gateways: GatewaysOption = 1, repeats: RepeatsOption = 5, seconds: MeasureOption = 5.0) -> None:
    """Where the microseconds of a call go, a tiny network behind the door. Example: loadtest bench hot-path"""
    measure_hot_path(gateways=gateways, repeats=repeats, measure_s=seconds, console=console)


@app.command()
def gateways(
    gateways: GatewaysOption = 2,
    workers: Annotated[int, typer.Option(help="worker processes of each server", min=1)] = 2,
    repeats: RepeatsOption = 5,
    seconds: MeasureOption = 5.0,
) -> None:
    """Several gateway processes against one, a tiny network behind both. Example: loadtest bench gateways"""
    compare_gateways(gateways, workers=workers, repeats=repeats, measure_s=seconds, console=console)


@app.command()
def protection(repeats: RepeatsOption = 5, seconds: MeasureOption = 5.0) -> None:
    """What keys, TLS and tracing cost, a tiny network behind them. Example: loadtest bench protection"""
    _exit(compare_protection(repeats=repeats, measure_s=seconds, console=console))


@app.command()
def polling(
    pages: Annotated[int, typer.Option(help="pages of the console that are open", min=1)] = 1,
    repeats: RepeatsOption = 5,
    seconds: MeasureOption = 10.0,
) -> None:
    """What an open page of the console costs, a tiny network behind the door. Example: loadtest bench polling"""
    _exit(measure_polling(pages=pages, repeats=repeats, measure_s=seconds, console=console))


@app.command()
def open_loop(seconds: MeasureOption = 10.0) -> None:
    """1,000 requests a second on time from one process, 3,000 from two. Example: loadtest bench open-loop"""
    _exit(measure_open_loop(measure_s=seconds, console=console))


@app.command()
def soak(
    model: ModelArgument,
    variant: Annotated[str, typer.Option(help="variant to ask")] = "int8",
    minutes: Annotated[float, typer.Option(help="how long", min=1)] = 60.0,
    rows: RowsOption = 4,
    store: StoreOption = DEFAULT_ROOT,
) -> None:
    """An hour at half the capacity, on a server started for it. Example: loadtest bench soak classifier --minutes 60"""
    subject = find_variant(open_release(store, model), variant)
    with (
        TemporaryDirectory(prefix="bench-") as folder,
        run_server(store, [model], Path(folder), variants=(variant,)) as server,
    ):
        to = server.wait_ready()

        def read_sample() -> Sample:
            return read_processes(server.list_processes(), read_samples(to.metrics)["millrace_tasks"])

        _exit(measure_soak(subject, to.grpc, read_sample, rows=rows, minutes=minutes, console=console))


@app.command()
def shadow(
    model: ModelArgument,
    variant: Annotated[str, typer.Option(help="variant that answers")] = "int8",
    candidate: Annotated[str, typer.Option(help="variant that gets copies")] = "eager",
    load: Annotated[float, typer.Option(help="share of the measured capacity", min=0.01, max=1)] = 0.5,
    rows: RowsOption = 1,
    repeats: RepeatsOption = 5,
    seconds: MeasureOption = 10.0,
    store: StoreOption = DEFAULT_ROOT,
) -> None:
    """Whether copies to a candidate make live answers later. Example: loadtest bench shadow classifier"""
    release = open_release(store, model)
    subject, other = (find_variant(release, name) for name in (variant, candidate))
    with TemporaryDirectory(prefix="bench-") as folder:
        routing = Path(folder) / "routing.yaml"
        write_routing(routing, subject, other, 1.0)
        with run_server(store, [model], Path(folder), variants=(variant,), settings={"routing": routing}) as server:
            to = server.wait_ready()

            def count_copies() -> float:
                return read_samples(to.metrics)["millrace_live_gate_requests_total"]

            reached = compare_shadow(
                subject,
                other,
                to.grpc,
                routing,
                count_copies,
                rows=rows,
                load=load,
                repeats=repeats,
                measure_s=seconds,
                console=console,
            )
            _exit(reached)


@contextmanager
def _open_server(
    serve: bool, store: Path, model: str, variants: Sequence[str], grpc_url: str, metrics_url: str = ""
) -> Iterator[Addresses]:
    if not serve:
        yield Addresses(grpc=grpc_url, metrics=metrics_url)
        return
    with (
        TemporaryDirectory(prefix="bench-") as folder,
        run_server(store, [model], Path(folder), variants=variants) as server,
    ):
        yield server.wait_ready()


def _exit(reached: bool) -> None:
    raise typer.Exit(0 if reached else 1)
