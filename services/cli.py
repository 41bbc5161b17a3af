"""`serve [MODEL…]`: verified releases behind the front door, until Ctrl-C."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_store.exit_status import exit_status_of
from model_store.settings import DEFAULT_ROOT, keys_folder

if TYPE_CHECKING:
    from model_store.store import Store
    from services.catalogue import Catalogue
    from services.gateway.settings import GatewaySettings
    from services.selection import Wish
    from services.serving import Serving
    from services.torchserve.settings import TorchServeSettings

# Imported late: `--help` and a mistyped option are answered before the gateway and its libraries load.

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_EPILOG = "Examples: serve    serve classifier --variants int8 --workers 2    serve keys add phone-app"


@app.command(epilog=_EPILOG)
def serve(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models, each a name or name:release; all if none is given.")
    ] = None,
    store: Annotated[Path, typer.Option(envvar="MILLRACE_STORE", help="Folder of the store.")] = DEFAULT_ROOT,
    variants: Annotated[
        str, typer.Option(help="Comma-separated names, the default first, reference or front; or all.")
    ] = "default",
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 = every network. [127.0.0.1]")] = None,
    http_port: Annotated[int | None, typer.Option(min=0, max=65535, help="REST; 0 = any free port. [8000]")] = None,
    grpc_port: Annotated[int | None, typer.Option(min=0, max=65535, help="gRPC; 0 = any free port. [8001]")] = None,
    metrics_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Prometheus; 0 = any free. [8002]")] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="PEM certificate chain: REST and gRPC by TLS only. Needs --tls-key.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key of the certificate, without a password.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM authorities: callers with a certificate of theirs need no key.")
    ] = None,
    api_keys: Annotated[
        Path | None, typer.Option(help="File of `serve keys`: callers need one of its keys, or a certificate.")
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Listen beyond this machine and ask nobody who calls.")
    ] = None,
    gateways: Annotated[
        int | None, typer.Option(min=1, help="Processes that answer on both ports; cores that workers leave free. [1]")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes per variant. [1]")] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="CPU threads per worker; 0 = the cores but one / workers. [0]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, or cuda. [auto]")] = None,
    engine: Annotated[
        Path | None, typer.Option(help="Folder of `serve engine`: TorchServe runs there, not below this process.")
    ] = None,
    device_ids: Annotated[
        str, typer.Option(help="GPUs to spread workers over: 0,1 or names, GPU-… or MIG-…; all if empty.")
    ] = "",
    routing: Annotated[
        Path | None, typer.Option(help="YAML file of pins, canaries and shadow copies; changes are followed.")
    ] = None,
    max_wait_ms: Annotated[
        float | None, typer.Option(min=1, help="Longest expected wait of a request without deadline. [10000]")
    ] = None,
    any_variant: Annotated[
        bool | None,
        typer.Option("--any-variant/--named-variant", help="Faster variants answer when one is overloaded. [named]"),
    ] = None,
    record: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of requests kept, encrypted, for `serve replay`. [0]")
    ] = None,
    cache_mib: Annotated[
        int | None, typer.Option(min=0, help="Answers held for equal requests of models without chance. [0]")
    ] = None,
    access_log: Annotated[
        bool | None, typer.Option("--access-log/--no-access-log", help="Log one line for each inference. [no]")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. [info]")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="In an empty store make a first model, shown in the page, and serve it.")
    ] = False,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written when everything is ready: JSON with url, ports and pid.")
    ] = None,
) -> None:
    """Serve releases of the store over Open Inference Protocol; every setting is also read from MILLRACE_…."""
    given: dict[str, Any] = {"host": host, "http_port": http_port, "grpc_port": grpc_port, "metrics_port": metrics_port}
    given |= {
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "tls_client_ca": tls_client_ca,
        "api_keys": api_keys,
        "insecure": insecure,
        "gateways": gateways,
        "routing": routing,
        "max_wait_ms": max_wait_ms,
        "any_variant": any_variant,
        "workers": workers,
        "threads": threads,
        "device": device,
        "engine": engine,
        "record": record,
        "cache_mib": cache_mib,
        "access_log": access_log,
        "log_level": log_level,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if device_ids:
        values["device_ids"] = tuple(device_ids.split(","))
    try:
        tuned, said = _find_tuned(store, models or [], values)
        torchserve, gateway = _read_settings(values | tuned)
        wanted = [name.strip() for name in variants.split(",") if name.strip()]
        if demo:
            gateway = _make_first_model(store, gateway)
        opened, wish, catalogue = _select(store, models or [], wanted, torchserve, gateway)
    except (ValueError, LookupError) as error:
        _fail(error)
    if said:
        typer.echo(said, err=True)
    from services.serving import Serving

    make_serving = partial(Serving, catalogue, torchserve, gateway, opened, wish)
    status = _run(make_serving, catalogue, torchserve, gateway, ready_file)
    raise typer.Exit(status)


def _read_settings(values: dict[str, Any]) -> tuple[TorchServeSettings, GatewaySettings]:
    """Read what the command line left open from the environment, and check all of it; logs are as it says from then on.

    Raises:
        ValueError: names the settings that are wrong, and what to change.
    """
    from pydantic import ValidationError

    from services.gateway.settings import GatewaySettings
    from services.logs import configure_logs
    from services.serving import check_settings
    from services.torchserve.settings import TorchServeSettings

    try:
        torchserve, gateway = TorchServeSettings(**values), GatewaySettings(**values)
    except ValidationError as error:
        problems = (f"MILLRACE_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
        raise ValueError("; ".join(problems)) from error
    check_settings(torchserve, gateway)
    configure_logs(gateway.log_level)
    return torchserve, gateway


def _make_first_model(folder: Path, gateway: GatewaySettings) -> GatewaySettings:
    """Train and release a first model into an empty store, behind the page; its port stays the gateway's."""
    import uvloop

    from model_store.signing import Keyring
    from model_store.store import Store
    from services.announcement import choose_host_to_type
    from services.demonstration import Demonstration, DemonstrationError, demonstrate, list_steps
    from services.gateway.http_server import PortTakenError

    if Store(folder, Keyring(keys_folder())).models():
        return gateway

    def announce(port: int) -> None:
        scheme = "http" if gateway.tls_files is None else "https"
        url = f"{scheme}://{choose_host_to_type(gateway)}:{port}"
        typer.echo(f"the store is empty: making a first model; watch it at {url}", err=True)

    try:
        port = uvloop.run(demonstrate(Demonstration(list_steps(folder)), gateway, announce))
    except (DemonstrationError, PortTakenError) as error:
        _fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    return gateway.model_copy(update={"http_port": port})


def _find_tuned(folder: Path, models: list[str], values: dict[str, Any]) -> tuple[dict[str, int], str]:
    from model_store.certificate import describe_host_class
    from model_store.signing import Keyring
    from model_store.store import Store
    from services.tuning import find_tuned

    names = [name.partition(":")[0] for name in models] or Store(folder, Keyring(keys_folder())).models()
    # What was tuned on a GPU speaks of that, unless the CPU is to compute.
    devices = ("cpu",) if values.get("device") == "cpu" else ("cuda", "cpu")
    return find_tuned(folder, names, [describe_host_class(device) for device in devices], values)


def _select(
    folder: Path, models: list[str], variants: list[str], engine: TorchServeSettings, gateway: GatewaySettings
) -> tuple[Store, Wish, Catalogue]:
    from model_store.signing import Keyring
    from model_store.store import Store
    from services.fitting import choose_device
    from services.gateway.routing import Routing, read_routing
    from services.selection import Planner, Wish, plan_catalogue

    store = Store(folder, Keyring(keys_folder()))
    wish = Wish(tuple(models), tuple(variants), choose_device(store, models, engine.device), engine.setup)
    routing = Routing() if gateway.routing is None else read_routing(gateway.routing)
    # Where the store is followed, what is refused is told by who follows it, before anything is ready.
    refuse = (lambda *_: None) if gateway.follow else None
    return store, wish, plan_catalogue(Planner(store, wish, refuse=refuse), routing)


def _run(
    make_serving: Callable[..., Serving],
    catalogue: Catalogue,
    engine: TorchServeSettings,
    gateway: GatewaySettings,
    ready_file: Path | None,
) -> int:
    import uvloop

    from host.descriptors import allow_many_descriptors
    from services.gateway.http_server import PortTakenError
    from services.torchserve.command import StartError
    from services.torchserve.java import NoUsableJavaError

    allow_many_descriptors()  # each connection is one
    try:
        uvloop.run(_serve_until_signal(make_serving, catalogue, engine, gateway, ready_file))
    except (PortTakenError, StartError, NoUsableJavaError) as error:
        _fail(error)
    return 0


async def _serve_until_signal(
    make_serving: Callable[..., Serving],
    catalogue: Catalogue,
    engine: TorchServeSettings,
    gateway: GatewaySettings,
    ready_file: Path | None,
) -> None:
    from host.progress import ProgressBar
    from services.announcement import describe_ready, write_ready_file
    from services.garbage import collect_garbage_rarely

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, stop)
    started_s = time.monotonic()
    typer.echo(f"starting TorchServe with {', '.join(map(str, catalogue.variants))}", err=True)
    with ProgressBar("workers ready", total=engine.workers * len(catalogue.variants)) as bar:
        serving = make_serving(lambda ready, total: bar.advance(ready - bar.done))
        starting = asyncio.create_task(serving.start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    starting.result()
    collect_garbage_rarely()
    try:
        ready_s = time.monotonic() - started_s
        for line in describe_ready(serving, catalogue, gateway, ready_s):
            typer.echo(line)
        if ready_file is not None:
            write_ready_file(ready_file, gateway, serving.ports, ready_s)
        await stopping
        typer.echo("stopping: requests in flight are answered first")
    finally:
        await serving.stop()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


def _stop(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(130)  # asked twice: do not wait for requests in flight; TorchServe's guard ends the rest
    stop.set()


def _fail(error: Exception) -> None:
    typer.echo(f"serve: {error}", err=True)
    raise typer.Exit(exit_status_of(error))


def main() -> None:
    """Serve, or do what another first word says; a model of such a name is served as `serve keys:1`."""
    words = ("engine", "keys", "replay")
    other = {word: f"services.{word}_cli" for word in words}.get("".join(sys.argv[1:2]))
    if other is None:
        app()
    else:
        importlib.import_module(other).app(sys.argv[2:], prog_name=f"serve {sys.argv[1]}")
