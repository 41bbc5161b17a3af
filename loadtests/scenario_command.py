"""`loadtest scenario`: ramps, spikes, soaks, mixed models, recorded arrivals and MLPerf's scenarios, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtests.addresses import Addresses, split_address
from loadtests.measure.host import describe_host
from loadtests.options import (
    GrpcUrlOption,
    HttpUrlOption,
    ServeOption,
    StoreOption,
    default_report_folder,
    name_command,
    name_moment,
    open_server,
    open_store,
)
from loadtests.report.scenario_page import write_scenario_report
from loadtests.report.scenario_table import find_headline, print_outcomes
from loadtests.scenario import ScenarioError, read_scenario
from loadtests.scenario_run import ScenarioResults, run_scenario
from loadtests.subject import find_variant
from model_store.settings import DEFAULT_ROOT
from services.client import Tls
from services.client.options import TlsCaOption, TlsCertOption, TlsKeyOption

console = Console()


def run_file(
    file: Annotated[Path, typer.Argument(help="scenario, a YAML file", exists=True, dir_okay=False)],
    store: StoreOption = DEFAULT_ROOT,
    serve: ServeOption = False,
    processes: Annotated[int, typer.Option(help="generator processes that share the arrivals", min=1)] = 1,
    out: Annotated[Path | None, typer.Option(help="folder of the report [default: reports/<date>-<time>]")] = None,
    grpc_url: GrpcUrlOption = "localhost:8001",
    http_url: HttpUrlOption = "http://localhost:8000",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
) -> None:
    """Run a scenario; exit status 1 where a target does not hold the bound. Example: loadtest scenario lunch.yaml"""
    plan = read_scenario(file)
    if serve and plan.url is not None:
        raise ScenarioError(f"{file} names the server {plan.url}: leave out its url or --serve")
    resolved = [open_store(store).resolve(target.model, target.version) for target in plan.targets]
    folder = out or default_report_folder()
    folder.mkdir(parents=True, exist_ok=True)
    models = list(dict.fromkeys(target.model for target in plan.targets))
    tls = Tls(ca=tls_ca, certificate=tls_cert, key=tls_key)
    given = Addresses(grpc=plan.url or grpc_url, http=(plan.url or http_url).rstrip("/"), tls=tls)
    if plan.protocol == "grpc":
        split_address(given.grpc)
    with open_server(serve, store, models, folder, given) as addresses:
        subjects = [find_variant(release, variant) for release, variant in resolved]
        with console.status(plan.name):
            outcomes = run_scenario(plan, subjects, addresses, processes=processes)
    results = ScenarioResults(
        name=folder.name,
        created=name_moment(),
        command=name_command(),
        host=describe_host(),
        scenario=plan,
        outcomes=tuple(outcomes),
    )
    console.print(find_headline(plan, outcomes), style="bold", highlight=False)
    print_outcomes(console, f"{plan.name}: bound {plan.bound_ms:g} ms", outcomes)
    console.print(f"Report: {write_scenario_report(results, folder)}")
    raise typer.Exit(0 if all(outcome.is_good for outcome in outcomes) else 1)
