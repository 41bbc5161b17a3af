"""`release RUN` and `release --program FILE --name NAME`: from a finished run to signed archives in the store."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from host.memory import keep_freed_memory
from host.threads import share_cores
from model_store.settings import DEFAULT_ROOT, keys_folder
from model_store.signing import Keyring
from model_store.store import Release, Store

os.environ.update(share_cores())  # before the modules below load torch, and OpenMP with it

from training.engine.device import choose_device
from training.engine.runs import read_run
from training.models import load_model
from training.release.source import describe_source
from training.release.spec import ReleaseSpec

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
        typer.Option(help="Input rows of --program, .npz with the input names as keys: int8, gate and examples."),
    ] = None,
    max_rows: Annotated[int | None, typer.Option(min=1, help="Most rows in a batch of --program.")] = None,
    margin: Annotated[float | None, typer.Option(min=0, help="Margin of the gate for --program.")] = None,
    variants: Annotated[str, typer.Option(help="Comma-separated; all that the device has if empty.")] = "",
    store: Annotated[Path, typer.Option(envvar="MILLRACE_STORE", help="Folder of the store.")] = DEFAULT_ROOT,
    device: Annotated[str, typer.Option(help="What to release for: auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Capture a model, build its variants, measure them, and put those that pass into the store as signed archives."""
    keep_freed_memory()  # as the workers do whose speed is measured here
    try:
        spec = _describe(run, program, name, calibration, max_rows, margin, device)
        wanted = [variant.strip() for variant in variants.split(",") if variant.strip()]
        done = release_model(spec, Store(store, Keyring(keys_folder())), device, wanted)
    except (ValueError, OSError) as error:
        typer.echo(f"release: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"released {done.model} {done.number} in {done.folder}; default variant {done.index.default}")


def release_model(spec: ReleaseSpec, store: Store, device_name: str, wanted: list[str]) -> Release:
    """Build, measure and publish a release; prints its table."""
    from training.release.archive import publish
    from training.release.build import build_variants
    from training.release.evaluation import evaluate_variants
    from training.release.table import print_evaluation

    device = choose_device(device_name)
    with store.building(spec.model) as (number, folder), tempfile.TemporaryDirectory(prefix="release-") as work:
        built = build_variants(spec, device=device, release=number, work=Path(work), wanted=wanted)
        evaluation = evaluate_variants(built, spec, device)
        print_evaluation(spec, evaluation)
        return publish(store, folder, spec, evaluation, describe_source(spec.seed))


def _describe(
    run: Path | None,
    program: Path | None,
    name: str | None,
    calibration: Path | None,
    max_rows: int | None,
    margin: float | None,
    device: str,
) -> ReleaseSpec:
    if (run is None) == (program is None):
        raise ValueError("give either a RUN or --program FILE, not both and not neither")
    if run is not None:
        if any(value is not None for value in (calibration, max_rows, margin)):
            raise ValueError("--calibration, --max-rows and --margin belong to --program; a run brings its own")
        spec = load_model(read_run(run)["model"]).describe_release(run, str(choose_device(device)))
        return replace(spec, name=name or "")
    from training.release.onnx_program import SUFFIX, describe_onnx_program
    from training.release.user_program import describe_user_program

    if name is None or program is None:
        raise ValueError("--program needs --name")
    describe = describe_onnx_program if program.suffix == SUFFIX else describe_user_program
    return describe(program, name, calibration=calibration, max_rows=max_rows, margin=margin)


def main() -> None:
    """Entry point of the console script."""
    app()
