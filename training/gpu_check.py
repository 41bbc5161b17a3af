"""`make gpu-check`: train, release and run handlers on the GPU, or on the CPU where there is none.

Needs Python ≥ 3.11, torch ≥ 2.11 and numpy, nothing else: it stops short of archives, signatures and TorchServe, and
goes through everything before them. What is timed beside the variants is measured in the same run: the network as it
is, compiled by torch, and in onnxruntime, where that is installed. Of several GPUs each runs every variant, and two
threads share a handler as the slots of a worker do. Exits with 1 when something broke.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from host.threads import share_cores

os.environ.update(share_cores())  # before torch is loaded, and OpenMP with it

import torch

from handlers.archive import open_handler
from handlers.device import open_device
from handlers.onnx_providers import CUDA, TENSORRT, ProviderMissingError, check_provider
from handlers.target import describe_host
from training.classifier.recipe import DEMO, VIT, Recipe
from training.engine.device import choose_device
from training.engine.options import TrainOptions
from training.gpu_answers import check, is_compiled, take_rows
from training.gpu_timing import Figures, Way, measure, print_figures
from training.models import load_model
from training.release.build import build_variants
from training.release.capture import capture
from training.release.evaluation import Evaluation, evaluate_variants
from training.release.measurement import host_name
from training.release.reference_check import check_reference
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
    checked = check_reference(load_model(MODEL).describe_release(run, str(device)), device)
    spec = checked.spec
    built = build_variants(spec, device=device, release=1, work=folder / "work")
    evaluation = evaluate_variants(built, spec, device, checked.finding)
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


def time_variants(
    spec: ReleaseSpec, evaluation: Evaluation, device: torch.device, problems: list[str]
) -> Iterator[Figures]:
    """Measure each variant through its handler, and on a GPU the compiled ones with replayed graphs too."""
    for variant, result in evaluation.variants.items():
        for has_graphs in (False, True) if device.type == "cuda" and is_compiled(result.folder) else (False,):

            def open_way(folder: Path = result.folder, has_graphs: bool = has_graphs) -> Way:
                num_slots = 1 if has_graphs else 2  # a recorded graph has memory for one call
                handler = open_handler(folder, str(device), has_graphs=has_graphs, num_slots=num_slots)
                return Way(
                    call=lambda num_rows: handler.infer(take_rows(spec, num_rows), {}),
                    enter=None if has_graphs else handler.device.enter_slot,
                )

            name = f"{variant}, graphs" if has_graphs else variant
            yield from _try(name, open_way, device, problems, result.measurement.value)


def time_baselines(spec: ReleaseSpec, folder: Path, device: torch.device, problems: list[str]) -> Iterator[Figures]:
    """Measure the network without any of ours around it."""
    program = spec.programs["main"]
    network = program.module.to(device).eval()
    enter = open_device(str(device)).enter_slot

    def open_network(run: Callable[..., object]) -> Way:
        def call(num_rows: int) -> object:
            with torch.inference_mode():
                rows = [torch.from_numpy(array).to(device) for array in take_rows(spec, num_rows).values()]
                return [value.cpu() for value in torch.utils._pytree.tree_leaves(run(*rows))]

        return Way(call=call, enter=enter)

    yield from _try("(network)", lambda: open_network(network), device, problems)
    compiled = torch.compile(network, dynamic=True)
    yield from _try("(torch.compile)", lambda: open_network(compiled), device, problems)
    if not all(importlib.util.find_spec(name) for name in ("onnxruntime", "onnxscript")):
        print("onnxruntime or onnxscript is not installed: not timed")
        return
    # Imported late: what is not installed is not needed.
    from training.release.onnx_export import export_onnx

    path = export_onnx(capture(program, torch.device("cpu")), folder / "network.onnx")
    for provider in list_providers(device):

        def open_session(provider: str = provider) -> Way:
            import onnxruntime

            session = onnxruntime.InferenceSession(path, providers=[provider])
            check_provider(provider, session.get_providers())  # or the CPU's times would stand in its line
            names = [value.name for value in session.get_inputs()]

            def call(num_rows: int) -> object:
                return session.run(None, dict(zip(names, take_rows(spec, num_rows).values(), strict=True)))

            return Way(call=call, enter=enter)

        name = f"(onnxruntime {provider.removesuffix('ExecutionProvider')})"
        yield from _try(name, open_session, device, problems)


def list_providers(device: torch.device) -> Sequence[str]:
    """Name what onnxruntime was built with for a device."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    if device.type != "cuda":
        return there[-1:]
    wanted = [provider for provider in (CUDA, TENSORRT) if provider in there]
    if not wanted:
        print(f"onnxruntime has no provider for GPUs here ({', '.join(there)}): not timed")
    return wanted


def _try(
    name: str, open_way: Callable[[], Way], device: torch.device, problems: list[str], quality: float | None = None
) -> Iterator[Figures]:
    """Measure, or note what broke: the others are still worth knowing."""
    try:
        yield measure(name, open_way, device, quality)
    except ProviderMissingError as error:
        print(f"{name} is not timed: {error}")
    except Exception as error:  # noqa: BLE001 - a driver or a compiler may fail in any way
        problems.append(f"{name} could not be timed: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
