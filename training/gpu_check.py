"""`make gpu-check`: train, release and run handlers on the GPU, or on the CPU where there is none.

Needs Python ≥ 3.11, torch ≥ 2.11 and numpy, nothing else: it stops short of archives, signatures and TorchServe, and
goes through everything before them. Exits with 1 when something broke.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from handlers.archive import open_handler
from handlers.base import Handler
from handlers.target import describe_host
from training.engine.device import choose_device
from training.engine.options import TrainOptions
from training.models import load_model
from training.release.build import FAILED, build_variants
from training.release.evaluation import Evaluation, evaluate_variants
from training.release.measurement import host_name
from training.release.spec import ReleaseSpec
from training.release.table import print_evaluation

MODEL = "classifier"


def main() -> int:
    """Run the check; returns the exit status."""
    device = choose_device("auto")
    target = describe_host(device)
    print(f"torch {torch.__version__} on {host_name(device)} ({target['device']} {target['capability']})", flush=True)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        started = time.monotonic()
        run = train(Path(folder) / "run", device)
        print(f"trained in {time.monotonic() - started:.0f} s", flush=True)
        started = time.monotonic()
        spec = load_model(MODEL).describe_release(run, str(device))
        built = build_variants(spec, device=device, release=1, work=Path(folder) / "work")
        evaluation = evaluate_variants(built, spec, device)
        print(f"released in {time.monotonic() - started:.0f} s", flush=True)
        print_evaluation(spec, evaluation)
        problems = check(spec, evaluation, device)
    for problem in problems:
        print(f"BROKEN: {problem}")
    print("gpu-check " + ("failed" if problems else f"passed on {device}"))
    return 1 if problems else 0


def train(out: Path, device: torch.device) -> Path:
    """Train the demo preset; returns the run's folder."""
    model = load_model(MODEL)
    recipe = model.presets["demo"]
    options = TrainOptions(
        model=MODEL, preset="demo", data=recipe.data, data_root=Path("data"), out=out, device=str(device), seed=0
    )
    return model.train(recipe, options)


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
    inputs = {
        name: array[np.arange(num_rows) % len(array)].reshape(num_rows, *array.shape[1:])
        for name, array in spec.held_out.inputs.items()
    }
    outputs = handler.infer(inputs, {}, handler.output_names)
    problems = [f"a row failed: {error}" for error in outputs.row_errors if error]
    for tensor in spec.outputs:
        array = outputs.arrays[tensor.name]
        if len(array) != num_rows:
            problems.append(f"output {tensor.name} has {len(array)} rows")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            problems.append(f"output {tensor.name} is not finite")
    return problems


if __name__ == "__main__":
    sys.exit(main())
