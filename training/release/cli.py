"""`release RUN` and `release --program FILE --name NAME`: from a finished run to signed archives in the store."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from host.exclusion import together_in
from host.memory import keep_freed_memory
from host.threads import share_cores
from model_store.manifest import NAME_PATTERN
from model_store.release import Release
from model_store.settings import DEFAULT_ROOT, keys_folder
from model_store.signing import Keyring
from model_store.store import Store

os.environ.update(share_cores())  # before the modules below load torch, and OpenMP with it

from model_store.default_variant import Objective
from training.engine.device import choose_device
from training.engine.runs import read_run
from training.models import load_model
from training.release.registration import register_release
from training.release.source import describe_source
from training.release.spec import ReleaseSpec

# Imported late: `--help` and a mistyped option are answered before torch's exporter loads, for seconds.

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_EPILOG = "Examples: release runs/classifier/full --name fashion    release --program net.pt2 --name net"


@app.command(epilog=_EPILOG)
def release(
    run: Annotated[Path | None, typer.Argument(help="A finished run's folder, as `train` leaves it.")] = None,
    program: Annotated[Path | None, typer.Option(help="Your own: saved by torch.export.save, or ONNX.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name to release it under; needed for --program.", show_default="its kind"),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Input rows of --program for int8, gate and examples: .npz with the input names as keys, or .npy for "
            "one input."
        ),
    ] = None,
    max_rows: Annotated[int | None, typer.Option(min=1, help="Most rows in a batch of --program.")] = None,
    margin: Annotated[float | None, typer.Option(min=0, help="Margin of the gate for --program.")] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            help="Values that an input of --program may have, NAME=LOW:HIGH; requests outside are refused. An index of "
            "an embedding or a table is found by itself.",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Load --program although its file holds what could run its maker's code on this machine (pickled "
            "objects, compiled libraries, unknown operators); without this such files are refused.",
        ),
    ] = False,
    variants: Annotated[str, typer.Option(help="Comma-separated; all that the device has if empty.")] = "",
    objective: Annotated[
        Objective, typer.Option(help="What the default is best at, of the variants that pass: rows/s, one row, size.")
    ] = Objective.THROUGHPUT,
    search: Annotated[
        bool,
        typer.Option(
            "--search",
            help="Try several ways to round int8 and onnx-int8 and take the fastest that passes: half of the held-out "
            "rows choose it, and the gate judges all variants on the other half.",
        ),
    ] = False,
    allow_untrained: Annotated[
        bool,
        typer.Option(
            "--allow-untrained",
            help="Release it although it is not shown to be better than answers that take no learning (the most "
            "frequent class, the source copied, …); its manifests say so.",
        ),
    ] = False,
    store: Annotated[Path, typer.Option(envvar="MILLRACE_STORE", help="Folder of the store.")] = DEFAULT_ROOT,
    device: Annotated[str, typer.Option(help="What to release for: auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Capture a model, build its variants, measure them, and put those that pass into the store as signed archives."""
    keep_freed_memory()  # as the workers do whose speed is measured here
    try:
        if name is not None and not re.match(NAME_PATTERN, name):
            raise ValueError(f"--name {name!r} is no model name: lower-case letters, digits, - and _, a letter first")
        own = _OwnOptions(calibration, max_rows, margin, tuple(ranges or ()), trust)
        spec = _describe(run, program, name, own, device)
        wanted = [variant.strip() for variant in variants.split(",") if variant.strip()]
        done = release_model(
            spec,
            Store(store, Keyring(keys_folder())),
            device,
            wanted,
            objective,
            search=search,
            allow_untrained=allow_untrained,
        )
    except (ValueError, OSError) as error:
        typer.echo(f"release: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"released {done.model} {done.number} in {done.folder}; default variant {done.index.default}")
    try:
        if registered := register_release(run, done):
            typer.echo(registered)
    except (ValueError, OSError) as error:
        typer.echo(f"release: it is released, but not registered: {error}", err=True)
        raise typer.Exit(1) from error


def release_model(
    spec: ReleaseSpec,
    store: Store,
    device_name: str,
    wanted: list[str],
    objective: Objective = Objective.THROUGHPUT,
    *,
    search: bool = False,
    allow_untrained: bool = False,
) -> Release:
    """Build, measure and publish a release; prints its table.

    What others release into the same store meanwhile is built beside it, and timed before or after it.
    """
    from training.release.archive import publish
    from training.release.build import build_variants
    from training.release.evaluation import evaluate_variants
    from training.release.held_out_part import halve
    from training.release.parent import measure_parent
    from training.release.reference_check import check_reference
    from training.release.search import search_roundings
    from training.release.table import print_evaluation

    device = choose_device(device_name)
    with (
        store.building(spec.model) as (number, folder),
        together_in(store.root, _tell_waiting) as alone,
        tempfile.TemporaryDirectory(prefix="release-") as work,
    ):
        reference = check_reference(spec, device)
        spec = reference.spec
        for_search, for_gate = halve(spec.held_out) if search else (spec.held_out, spec.held_out)
        spec = replace(spec, held_out=for_gate)
        parent = measure_parent(spec, device)
        built = build_variants(spec, device=device, release=number, work=Path(work), wanted=wanted)
        if search:
            built = search_roundings(built, replace(spec, held_out=for_search), device, Path(work) / "search", alone)
        evaluation = evaluate_variants(
            built, spec, device, reference.finding, objective, parent, allow_untrained=allow_untrained, alone=alone
        )
        print_evaluation(spec, evaluation)
        return publish(store, folder, spec, evaluation, describe_source(spec.seed))


def _tell_waiting() -> None:
    typer.echo("waiting until no other release is built for this store, to measure speeds", err=True)


@dataclass(frozen=True)
class _OwnOptions:
    """What is said of a program of one's own; a run brings its own."""

    calibration: Path | None
    max_rows: int | None
    margin: float | None
    ranges: tuple[str, ...]
    trust: bool


def _describe(run: Path | None, program: Path | None, name: str | None, own: _OwnOptions, device: str) -> ReleaseSpec:
    if (run is None) == (program is None):
        raise ValueError("give either a RUN or --program FILE, not both and not neither")
    if run is not None:
        if own != _OwnOptions(None, None, None, (), False):
            raise ValueError(
                "--calibration, --max-rows, --margin, --range and --trust belong to --program; a run brings its own"
            )
        spec = load_model(read_run(run)["model"]).describe_release(run, str(choose_device(device)))
        return replace(spec, name=name or "")
    from training.release.onnx_program import SUFFIX, describe_onnx_program
    from training.release.user_program import describe_user_program
    from training.release.value_ranges import parse_ranges

    if name is None or program is None:
        raise ValueError("--program needs --name")
    common: dict[str, Any] = {
        "calibration": own.calibration,
        "max_rows": own.max_rows,
        "margin": own.margin,
        "ranges": parse_ranges(own.ranges),
    }
    if program.suffix == SUFFIX:
        return describe_onnx_program(program, name, **common)
    return describe_user_program(program, name, **common, is_trusted=own.trust)


def main() -> None:
    """Entry point of the console script."""
    app()
