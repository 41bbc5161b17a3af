"""`k8s fleet`: several `serve` processes behind Envoy on this machine, until Ctrl-C."""

from __future__ import annotations

import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from host.cpu import count_cores
from k8s.fleet.envoy import KEY_HEADER, Certificates, Edge, Node
from k8s.fleet.processes import Fleet, FleetError
from model_store.settings import DEFAULT_ROOT

WATCH_S = 0.5


def fleet(
    nodes: Annotated[int, typer.Option(min=1, max=200, help="Serving processes.")] = 2,
    models: Annotated[str, typer.Option(help="Comma-separated, as `serve` takes them; all if empty.")] = "",
    store: Annotated[Path, typer.Option(envvar="MILLRACE_STORE", help="Folder of the store.")] = DEFAULT_ROOT,
    port: Annotated[int, typer.Option(help="Where the edge listens, gRPC and REST.")] = 9000,
    network: Annotated[
        str, typer.Option(help="Nodes listen on NETWORK.1, NETWORK.2, …, ports 8000 to 8002.")
    ] = "127.0.1",
    clients: Annotated[
        str, typer.Option(help="Comma-separated names; each gets a key, printed. Nobody is asked if empty.")
    ] = "",
    requests_per_s: Annotated[int, typer.Option(min=1, help="Most requests of one client per second.")] = 10_000,
    certificate: Annotated[Path | None, typer.Option(help="PEM chain; with --key the edge speaks TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM private key of the certificate.")] = None,
    authority: Annotated[Path | None, typer.Option(help="PEM; callers need a certificate that it signed.")] = None,
) -> None:
    """Run a fleet on this machine, wired as on a cluster; a node that dies is started again."""
    if (certificate is None) != (key is None) or (authority and not certificate):
        _fail("--certificate and --key go together, --authority needs both")
    files = Certificates(certificate=certificate, key=key, authority=authority) if certificate and key else None
    keys = {name.strip(): secrets.token_urlsafe(24) for name in clients.split(",") if name.strip()}
    edge = Edge(
        nodes=[Node(f"{network}.{number}", 8000, 8001) for number in range(1, nodes + 1)],
        port=port,
        admin_port=port + 1,
        keys=keys,
        requests_per_s=requests_per_s,
        certificates=files,
    )
    threads = max(1, count_cores() // nodes)
    names = [name.strip() for name in models.split(",") if name.strip()]

    def command(node: Node, ready: Path) -> list[str]:
        serve = str(Path(sys.executable).with_name("serve"))
        options = ["--store", str(store), "--variants", "default", "--threads", str(threads)]
        return [serve, *names, *options, "--host", node.host, "--ready-file", str(ready)]

    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what is in its background with SIGINT ignored
        signal.signal(number, _stop)
    with tempfile.TemporaryDirectory(prefix="millrace-fleet-") as folder:
        try:
            with Fleet(edge, command, Path(folder)) as running:
                _announce(edge, running)
                _watch(running)
        except FleetError as error:
            _fail(str(error))


def _announce(edge: Edge, running: Fleet) -> None:
    for node, process in running.processes.items():
        typer.echo(f"  node     {node.host} (process {process.pid}, metrics http://{node.host}:8002/metrics)")
    typer.echo(
        f"  edge     {edge.host}:{edge.port}, gRPC and REST (administration http://{edge.host}:{edge.admin_port})"
    )
    for client, key in edge.keys.items():
        typer.echo(f"  {client}: header {KEY_HEADER}: {key}")
    typer.echo("Ctrl-C stops it")


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _watch(running: Fleet) -> None:
    try:
        while True:
            for node in running.restart_dead():
                typer.echo(f"the node at {node.host} ended; it is started again")
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        typer.echo("stopping")


def _fail(text: str) -> None:
    typer.echo(f"k8s: {text}", err=True)
    raise typer.Exit(2)
