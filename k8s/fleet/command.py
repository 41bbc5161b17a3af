"""`k8s fleet`: several `serve` processes behind Envoy on this machine, until Ctrl-C.

Lines that are typed change it while it runs: `nodes 5`, `roll`, `canary 20`.
"""

from __future__ import annotations

import itertools
import secrets
import select
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from host.cpu import count_cores
from k8s.fleet.callers import KEY_HEADER, Tokens
from k8s.fleet.certificates import EDGE_SUBJECT, RENEW_S, Trust
from k8s.fleet.changes import Changes
from k8s.fleet.envoy import Balancing, Certificates, Edge, Node
from k8s.fleet.network import choose_network
from k8s.fleet.processes import Command, Fleet, FleetError
from k8s.settings import read_settings
from model_store.settings import DEFAULT_ROOT

WATCH_S = 0.5


def fleet(
    nodes: Annotated[int, typer.Option(min=1, max=200, help="Serving processes.")] = 2,
    models: Annotated[str, typer.Option(help="Comma-separated, as `serve` takes them; all if empty.")] = "",
    store: Annotated[Path, typer.Option(envvar="MILLRACE_STORE", help="Folder of the store.")] = DEFAULT_ROOT,
    port: Annotated[int, typer.Option(help="Where the edge listens, gRPC and REST.")] = 9000,
    network: Annotated[
        str,
        typer.Option(
            help="As in 127.0.1: nodes listen on 127.0.1.1, 127.0.1.2, …. If empty, in network namespaces of their own "
            "where root allows, else as in the example. Ports 8000 to 8002."
        ),
    ] = "",
    clients: Annotated[
        str, typer.Option(help="Comma-separated names; each gets a key, printed. Nobody is asked if empty.")
    ] = "",
    requests_per_s: Annotated[int, typer.Option(min=1, help="Most requests of one client per second.")] = 10_000,
    certificate: Annotated[Path | None, typer.Option(help="PEM chain; with --key the edge speaks TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM private key of the certificate.")] = None,
    authority: Annotated[Path | None, typer.Option(help="PEM; callers need a certificate that it signed.")] = None,
    mutual_tls: Annotated[
        bool, typer.Option("--mutual-tls", help="Callers, edge and nodes show certificates, made and renewed here.")
    ] = False,
    balancing: Annotated[Balancing, typer.Option(help="least-request, or weighted by the load that nodes report.")] = (
        "least-request"
    ),
    canary: Annotated[str, typer.Option(help="Models of the canary's node, as in classifier:2; none if empty.")] = "",
    canary_percent: Annotated[int, typer.Option(min=1, max=100, help="Share of calls for the canary.")] = 5,
    mirror: Annotated[str, typer.Option(help="Models of a node that gets copies, whose answers nobody reads.")] = "",
    mirror_percent: Annotated[int, typer.Option(min=1, max=100, help="Share of calls that are copied.")] = 100,
    token_keys: Annotated[
        Path | None, typer.Option(help="Public keys (JWKS) of --token-issuer: its tokens (JWT) open the edge.")
    ] = None,
    token_issuer: Annotated[str, typer.Option(help="The tokens' claim `iss`.")] = "",
    token_audience: Annotated[str, typer.Option(help="The tokens' claim `aud`; any if empty.")] = "",
) -> None:
    """Run a fleet on this machine, wired as on a cluster; a node that dies is started again."""
    if (certificate is None) != (key is None) or (authority and not certificate):
        _fail("--certificate and --key go together, --authority needs both")
    if mutual_tls and certificate:
        _fail("--mutual-tls makes its own certificates; leave --certificate out")
    files = Certificates(certificate=certificate, key=key, authority=authority) if certificate and key else None
    if (token_keys is None) != (not token_issuer) or (token_keys and clients):
        _fail("--token-keys and --token-issuer go together, and not with --clients: callers show tokens or keys")
    tokens = None
    if token_keys:
        audiences = [token_audience] if token_audience else []
        tokens = Tokens(issuer=token_issuer, key_set=token_keys.resolve(), audiences=audiences)
    place = choose_network(network)
    addresses = place.addresses()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what is in its background with SIGINT ignored
        signal.signal(number, _stop)
    with tempfile.TemporaryDirectory(prefix="millrace-fleet-") as scratch:
        folder = Path(scratch)
        trust = Trust.make(folder) if mutual_tls else None
        edge = Edge(
            nodes=list(itertools.islice(addresses, nodes)),
            port=port,
            admin_port=port + 1,
            keys={name: secrets.token_urlsafe(24) for name in _split(clients)},
            tokens=tokens,
            requests_per_s=requests_per_s,
            balancing=balancing,
            certificates=trust.towards_callers if trust else files,
            identity=trust.towards_nodes if trust else None,
            canary=[next(addresses)] if canary else (),
            canary_percent=canary_percent if canary else 0,
            mirror=[next(addresses)] if mirror else (),
            mirror_percent=mirror_percent if mirror else 0,
        )
        threads = max(1, count_cores() // nodes)
        serve = partial(_serve, store=store, threads=threads, trust=trust, reports=balancing == "weighted")
        command = serve(_split(models))
        try:
            copies, trial = (serve(_split(names)) if names else None for names in (mirror, canary))
            with Fleet(edge, command, folder, canary=trial, mirror=copies, network=place) as running:
                typer.echo(f"nodes in {place}")
                _announce(running, trust)
                _watch(running, trust, Changes(running, command, addresses))
        except FleetError as error:
            _fail(str(error))


def _serve(names: Sequence[str], *, store: Path, threads: int, trust: Trust | None, reports: bool) -> Command:
    """Make what starts a node that serves these models, and that `reports` its load with every answer."""
    variables = [
        f"MILLRACE_SLOW_FACTOR={read_settings()['MILLRACE_SLOW_FACTOR']}",
        f"MILLRACE_LOAD_REPORTS={str(reports).lower()}",
    ]
    if trust:
        variables.append(f"MILLRACE_TRUSTED_EDGES={EDGE_SUBJECT}")
    else:  # the edge asks who calls, and only this machine reaches the nodes
        variables.append("MILLRACE_INSECURE=true")

    def command(node: Node, ready: Path) -> list[str]:
        serve = str(Path(sys.executable).with_name("serve"))
        options = ["--store", str(store), "--variants", "default", "--threads", str(threads)]
        if trust:
            options += ["--tls-cert", str(trust.node), "--tls-key", str(trust.node)]
            options += ["--tls-client-ca", str(trust.nodes.path)]
        return [
            "env",
            *variables,
            serve,
            *names,
            *options,
            "--host",
            node.host,
            "--ready-file",
            str(ready),
        ]

    return command


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _announce(running: Fleet, trust: Trust | None) -> None:
    edge = running.edge
    for node, process in running.processes.items():
        typer.echo(f"  node     {node.host} (process {process.pid}, metrics http://{node.host}:8002/metrics)")
    typer.echo(
        f"  edge     {edge.host}:{edge.port}, gRPC and REST (administration http://{edge.host}:{edge.admin_port})"
    )
    for client, key in edge.keys.items():
        typer.echo(f"  {client}: header {KEY_HEADER}: {key}")
    if trust:
        typer.echo(f"  callers  at localhost:{edge.port} with --tls-ca {trust.callers.path}")
        typer.echo(f"           and --tls-cert {trust.caller} --tls-key {trust.caller}")
    typer.echo("Ctrl-C stops it; type `nodes NUMBER`, `roll` or `canary PERCENT` to change it")


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _watch(running: Fleet, trust: Trust | None, changes: Changes) -> None:
    renewed_s = time.monotonic()
    is_open = True
    try:
        while True:
            for node in running.restart_dead():
                typer.echo(f"the node at {node.host} ended; it is started again")
            if trust and time.monotonic() - renewed_s > RENEW_S:
                trust.renew()
                renewed_s = time.monotonic()
            if not is_open:
                time.sleep(WATCH_S)
            elif select.select([sys.stdin], [], [], WATCH_S)[0]:
                line = sys.stdin.readline()
                is_open = bool(line)
                typer.echo(changes.make(line))
    except KeyboardInterrupt:
        typer.echo("stopping")


def _fail(text: str) -> NoReturn:
    typer.echo(f"k8s: {text}", err=True)
    raise typer.Exit(2)
