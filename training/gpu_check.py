"""`make gpu-check`: train, release and run handlers on the GPU, or on the CPU where there is none.

Needs Python ≥ 3.11, torch ≥ 2.11 and numpy, nothing else: it stops short of archives, signatures and TorchServe, and
goes through everything before them. What is timed beside the variants is measured in the same run: the network as it
is, compiled by torch, and in onnxruntime, where that is installed. Exits with 1 when something broke.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from host.threads import share_cores

os.environ.update(share_cores())  # before torch is loaded, and OpenMP with it

import torch

from handlers.archive import open_handler
from handlers.base import Handler
from handlers.target import describe_host
from training.classifier.recipe import DEMO, VIT, Recipe
from training.engine.device import choose_device
from training.engine.options import TrainOptions
from training.gpu_timing import Call, Figures, measure, print_figures
from training.models import load_model
from training.release.build import FAILED, build_variants
from training.release.capture import capture
from training.release.evaluation import Evaluation, evaluate_variants
from training.release.measurement import host_name
from training.release.spec import ReleaseSpec
from training.release.table import print_evaluation

MODEL = "classifier"
# Convolutions, and a Transformer, whose linear layers alone have 8 bits on a GPU. Two in three of its test rows may be
# right for all that is asked here.
RECIPES = {
    "convolutions": DEMO,
    "Transformer": replace(VIT, data="digits", resolution=32, epochs=12, batch_size=50, margin=0.015, max_threads=1),
}
EPOCHS_ON_CPU = 2  # there, that it learns and is released is all that is asked
_PROVIDERS = ("CUDAExecutionProvider", "TensorrtExecutionProvider")


def main() -> int:
    """Run the check; returns the exit status."""
    device = choose_device("auto")
    target = describe_host(device)
    print(f"torch {torch.__version__} on {host_name(device)} ({target['device']} {target['capability']})", flush=True)
    problems = []
    for name, recipe in RECIPES.items():
        with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
            problems += [f"{name}: {problem}" for problem in check_network(name, recipe, Path(folder), device)]
    for problem in problems:
        print(f"BROKEN: {problem}")
    print("gpu-check " + ("failed" if problems else f"passed on {device}"))
    return 1 if problems else 0


def check_network(name: str, recipe: Recipe, folder: Path, device: torch.device) -> list[str]:
    """Train, release and time one network; returns what is wrong."""
    started = time.monotonic()
    run = train(recipe if device.type == "cuda" else replace(recipe, epochs=EPOCHS_ON_CPU), folder / "run", device)
    print(f"{name}: trained in {time.monotonic() - started:.0f} s", flush=True)
    started = time.monotonic()
    spec = load_model(MODEL).describe_release(run, str(device))
    built = build_variants(spec, device=device, release=1, work=folder / "work")
    evaluation = evaluate_variants(built, spec, device)
    print(f"{name}: released in {time.monotonic() - started:.0f} s", flush=True)
    print_evaluation(spec, evaluation)
    problems = check(spec, evaluation, device)
    print_figures([*time_baselines(spec, folder, device, problems), *time_variants(spec, evaluation, device, problems)])
    return problems


def train(recipe: Recipe, out: Path, device: torch.device) -> Path:
    """Train a recipe; returns the run's folder."""
    options = TrainOptions(
        model=MODEL, preset="demo", data=recipe.data, data_root=Path("data"), out=out, device=str(device), seed=0
    )
    return load_model(MODEL).train(recipe, options)


def check(spec: ReleaseSpec, evaluation: Evaluation, device: torch.device) -> list[str]:
    """Run every variant's handler on one row, on some and on the most that it takes; returns what is wrong."""
    problems = [f"{variant}: {why}" for variant, why in evaluation.left_out.items() if why.startswith(FAILED)]
    for variant, result in evaluation.variants.items():
        handler = open_handler(result.folder, str(device))
        for num_rows in (1, 3, spec.max_rows):
            problems += [f"{variant}, {num_rows} rows: {why}" for why in check_answer(handler, spec, num_rows)]
    rejected = [variant for variant, result in evaluation.variants.items() if not result.decision.passed]
    if "compiled" in rejected:  # the same arithmetic: only a broken compiler changes its quality
        problems.append("the compiled variant does not pass the gate")
    if len(evaluation.variants) - len(rejected) < 2:
        problems.append("no variant but the reference passes the gate")
    return problems


def check_answer(handler: Handler, spec: ReleaseSpec, num_rows: int) -> list[str]:
    """Compare one answer with the manifest's outputs."""
    outputs = handler.infer(take_rows(spec, num_rows), {}, handler.output_names)
    problems = [f"a row failed: {error}" for error in outputs.row_errors if error]
    for tensor in spec.outputs:
        array = outputs.arrays[tensor.name]
        if len(array) != num_rows:
            problems.append(f"output {tensor.name} has {len(array)} rows")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            problems.append(f"output {tensor.name} is not finite")
    return problems


def take_rows(spec: ReleaseSpec, num_rows: int) -> dict[str, np.ndarray]:
    """Take held-out rows, from the first again where there are fewer."""
    return {name: array[np.arange(num_rows) % len(array)] for name, array in spec.held_out.inputs.items()}


def time_variants(
    spec: ReleaseSpec, evaluation: Evaluation, device: torch.device, problems: list[str]
) -> Iterator[Figures]:
    """Measure each variant through its handler, and on a GPU the compiled ones with replayed graphs too."""
    for variant, result in evaluation.variants.items():
        is_recordable = device.type == "cuda" and any((result.folder / "programs").rglob("*.so"))
        for has_graphs in (False, True) if is_recordable else (False,):

            def open_call(folder: Path = result.folder, has_graphs: bool = has_graphs) -> Call:
                handler = open_handler(folder, str(device), has_graphs=has_graphs)
                return lambda num_rows: handler.infer(take_rows(spec, num_rows), {})

            name = f"{variant}, graphs" if has_graphs else variant
            yield from _try(name, open_call, device, problems, result.measurement.value)


def time_baselines(spec: ReleaseSpec, folder: Path, device: torch.device, problems: list[str]) -> Iterator[Figures]:
    """Measure the network without any of ours around it."""
    program = spec.programs["main"]
    network = program.module.to(device).eval()

    def open_network(run: Callable[..., object]) -> Call:
        def call(num_rows: int) -> object:
            with torch.inference_mode():
                rows = [torch.from_numpy(array).to(device) for array in take_rows(spec, num_rows).values()]
                return [value.cpu() for value in torch.utils._pytree.tree_leaves(run(*rows))]

        return call

    yield from _try("(network)", lambda: open_network(network), device, problems)
    compiled = torch.compile(network, dynamic=True)
    yield from _try("(torch.compile)", lambda: open_network(compiled), device, problems)
    if not all(importlib.util.find_spec(name) for name in ("onnxruntime", "onnxscript")):
        print("onnxruntime or onnxscript is not installed: not timed")
        return
    # Imported late: what is not installed is not needed.
    import onnxruntime

    from training.release.onnx_export import export_onnx

    path = export_onnx(capture(program, torch.device("cpu")), folder / "network.onnx")
    there = onnxruntime.get_available_providers()
    wanted = [provider for provider in _PROVIDERS if provider in there] if device.type == "cuda" else there[-1:]
    if not wanted:
        print(f"onnxruntime has no provider for GPUs here ({', '.join(there)}): not timed")
    for provider in wanted:

        def open_session(provider: str = provider) -> Call:
            session = onnxruntime.InferenceSession(path, providers=[provider])
            names = [value.name for value in session.get_inputs()]
            return lambda num_rows: session.run(None, dict(zip(names, take_rows(spec, num_rows).values(), strict=True)))

        name = f"(onnxruntime {provider.removesuffix('ExecutionProvider')})"
        yield from _try(name, open_session, device, problems)


def _try(
    name: str, open_call: Callable[[], Call], device: torch.device, problems: list[str], quality: float | None = None
) -> Iterator[Figures]:
    """Measure, or note what broke: the others are still worth knowing."""
    try:
        yield measure(name, open_call, device, quality)
    except Exception as error:  # noqa: BLE001 - a driver or a compiler may fail in any way
        problems.append(f"{name} could not be timed: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
