"""`loadtest certify`: measure, sign and check what a variant holds on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from host.progress import ProgressBar
from loadtests.capacity.certifying import certify, choose_setup, estimate_certify_s
from loadtests.capacity.checking import ALLOWED, Check, advise, check_certificate, estimate_check_s
from loadtests.capacity.levels import Plan
from loadtests.measure.neighbours import watch_neighbours
from loadtests.options import ModelArgument, StoreOption, VersionOption, open_store
from loadtests.subject import find_variant
from model_store.certificate import Certificate, Setup, describe_host_class, find_certificate
from model_store.release import Release
from model_store.settings import DEFAULT_ROOT

console = Console()

WorkersOption = Annotated[int | None, typer.Option(min=1, help="worker processes [as `serve` has them]")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="threads of each worker [as `serve` has them]")]
BoundOption = Annotated[
    float | None, typer.Option("--bound", help="p99 to stay within, in ms; none: from its own service time", min=0.1)
]


def certify_model(
    model: ModelArgument,
    version: VersionOption = "",
    store: StoreOption = DEFAULT_ROOT,
    bound_ms: BoundOption = None,
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    rounds: Annotated[int, typer.Option(help="how often each level is measured", min=1)] = 3,
    seconds: Annotated[float, typer.Option(help="seconds of each level", min=0.5)] = 5.0,
    check: Annotated[
        bool, typer.Option("--check", help="measure nothing new: compare waits with what the certificate predicts")
    ] = False,
) -> None:
    """Certify what a variant holds on machines like this, signed into its release. Example: loadtest certify classifier

    It takes four to five minutes, and so does `--check`, which exits with 1 where a predicted wait is off by more than
    a fifth, with 2 where the machine was too noisy to say.
    """
    opened = open_store(store)
    release, variant = opened.resolve(model, version)
    subject = find_variant(release, variant)
    setup = choose_setup(workers, threads)
    plan = Plan(rounds=rounds, level_s=seconds)
    planned_s = estimate_check_s(plan) if check else estimate_certify_s(plan)
    with ProgressBar("measuring, s", total=round(planned_s)) as bar, watch_neighbours() as neighbours:

        def advance(what: str, planned_s: float) -> None:
            bar.advance(round(planned_s), what)

        if check:
            checks = check_certificate(store, subject, _find(release, variant, setup), plan, advance=advance)
        else:
            certificate = certify(store, release, subject, setup, plan, bound_ms=bound_ms, advance=advance)
        around = neighbours()
    if around.text:
        console.print(f"Meanwhile {around.text}.", style="yellow", highlight=False, markup=False)
    if check:
        print_checks(subject.name, checks)
        if advice := advise(checks):
            console.print(advice, style="yellow", highlight=False)
        outcomes = {item.outcome for item in checks}
        raise typer.Exit(1 if "missed" in outcomes else 2 if "too noisy to tell" in outcomes else 0)
    print_certificate(certificate)
    console.print(f"Signed: {opened.certify(certificate)}", highlight=False)


def _find(release: Release, variant: str, setup: Setup) -> Certificate:
    host = describe_host_class(release.manifests[variant].target.device)
    found = find_certificate(release.certificates, variant, host=host, setup=setup)
    if found is None:
        raise LookupError(
            f"{release.model} {release.number}-{variant} has no certificate for {setup.workers} worker(s) of "
            f"{setup.threads} thread(s) on {host}; make it with `loadtest certify {release.model}`"
        )
    return found


def print_certificate(certificate: Certificate) -> None:
    """Print what was certified."""
    setup = certificate.setup
    held = "none was shown" if certificate.rows_per_s is None else f"{certificate.rows_per_s:,.0f} rows/s"
    console.print(
        f"{certificate.model} {certificate.version}, {setup.workers} worker(s) of {setup.threads} thread(s) on "
        f"{certificate.host}\n"
        f"  within {certificate.bound_ms:g} ms at p99: {held}; "
        f"saturated {certificate.saturated_rows_per_s:,.0f} rows/s\n"
        f"  memory: {certificate.node_bytes / 2**20:.0f} MiB in all, a worker {certificate.worker_bytes / 2**20:.0f} "
        f"MiB; ready after {certificate.startup_s:.1f} s",
        highlight=False,
    )
    table = Table("rows", "ms", "± (between calls)", "calls", title="Batches")
    for time in certificate.batch_times:
        table.add_row(
            f"{time.rows:.1f}", f"{1e3 * time.seconds:.2f}", f"{1e3 * time.deviation_s:.2f}", f"{time.calls:,}"
        )
    console.print(table)


def print_checks(name: str, checks: list[Check]) -> None:
    """Print predicted and measured waits."""
    columns = ("load", "rows/s", "", "as certified", "measured", "predicted ÷ measured", "")
    table = Table(*columns, title=f"{name}: means, to be within {ALLOWED:.0%}")
    colours = {"reached": "green", "missed": "red", "too noisy to tell": "yellow"}
    for item in checks:
        verdict = f"[{colours[item.outcome]}]{item.outcome}[/]"
        slices = item.slices
        level = (f"{item.load:g}", f"{median(each.rate for each in slices):,.0f}")
        for what, certified, measured, found, said in (
            ("batch, times as certified", "1.00", [each.pace for each in slices], item.batches, verdict),
            ("answer, ms", f"{item.certified.answer_ms:.2f}", [each.answer_ms for each in slices], item.answers, ""),
            ("queue, ms", f"{item.certified.queue_ms:.2f}", [each.queue_ms for each in slices], item.queues, ""),
        ):
            shown = "–" if found is None else f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f})"
            table.add_row(*level, what, certified, _spread(measured), shown, said)
            level = ("", "")
    console.print(table)
    console.print(
        "ratios, with 95 % interval: how long batches were to take, as saturated ones before and after the slice took, "
        "over how long they took; and how long slices of this length were predicted to wait, at the pace of each half "
        "second, over how long they waited"
    )


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
