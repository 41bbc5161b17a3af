"""What `make gpu-check` asks of every variant: the same answers, however it is opened, and all of them sound."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from handlers.archive import open_handler
from handlers.base import Handler
from training.release.build import FAILED
from training.release.evaluation import Evaluation
from training.release.spec import ReleaseSpec

# A graph waits for three calls, is recorded in the fourth, and replayed from then on.
_CALLS_OF_GRAPHS = 5
_LARGEST_DEVIATION = 0.01  # of probabilities, between ways to run the same program


def check(spec: ReleaseSpec, evaluation: Evaluation, device: torch.device) -> list[str]:
    """Ask every variant in all ways to open it, each of which has to answer as the first; returns what is wrong."""
    problems = [f"{variant}: {why}" for variant, why in evaluation.left_out.items() if why.startswith(FAILED)]
    for variant, result in evaluation.variants.items():
        answers: dict[int, dict[str, np.ndarray]] = {}
        for words, opening in list_openings(result.folder, device).items():
            num_calls = _CALLS_OF_GRAPHS if "graphs" in words else 1
            try:
                found = check_handler(opening(), spec, num_calls, answers)
            except Exception as error:  # noqa: BLE001 - a driver or a compiler may fail in any way
                found = [f"{type(error).__name__}: {error}"]
            problems += [f"{variant}{words}: {why}" for why in found]
    rejected = [variant for variant, result in evaluation.variants.items() if not result.decision.passed]
    if "compiled" in rejected:  # the same arithmetic: only a broken compiler changes its quality
        problems.append("the compiled variant does not pass the gate")
    if len(evaluation.variants) - len(rejected) < 2:
        problems.append("no variant but the reference passes the gate")
    return problems


def list_openings(folder: Path, device: torch.device) -> dict[str, Callable[[], Handler]]:
    """Ways to open a variant, by words after its name: plainly, with graphs, and on each further GPU of this kind."""
    openings: dict[str, Callable[[], Handler]] = {"": partial(open_handler, folder, str(device))}
    if device.type == "cuda":
        others = list_other_gpus(device)
        openings |= {f" on {name}": partial(open_handler, folder, name) for name in others}
        for name in [str(device), *others] if is_compiled(folder) else ():
            openings[f" with graphs on {name}"] = partial(open_handler, folder, name, has_graphs=True)
    return openings


def list_other_gpus(device: torch.device) -> list[str]:
    """Name the GPUs beside the first, those that run what is compiled for it."""
    capability = torch.cuda.get_device_capability(device)
    others = range(1, torch.cuda.device_count())
    return [f"cuda:{number}" for number in others if torch.cuda.get_device_capability(number) == capability]


def is_compiled(folder: Path) -> bool:
    """Whether a variant's programs are libraries, whose calls can be replayed as graphs."""
    return any((folder / "programs").rglob("*.so"))


def check_handler(
    handler: Handler, spec: ReleaseSpec, num_calls: int, answers: dict[int, dict[str, np.ndarray]]
) -> list[str]:
    """Ask for one row, for some and for the most that it takes, so often each; returns what is wrong.

    `answers` are the first opening's to so many rows; of the first itself they are filled in.
    """
    problems = []
    for num_rows in (1, 3, spec.max_rows):
        for _ in range(num_calls):
            outputs = handler.infer(take_rows(spec, num_rows), {}, handler.output_names)
        found = [f"a row failed: {error}" for error in outputs.row_errors if error]
        found += check_answer(outputs.arrays, answers.setdefault(num_rows, outputs.arrays), num_rows)
        problems += [f"{num_rows} rows: {why}" for why in found]
    return problems


def check_answer(answers: dict[str, np.ndarray], expected: dict[str, np.ndarray], num_rows: int) -> list[str]:
    """Say what is wrong with outputs: their rows, values that are not finite, or that others were expected."""
    problems = []
    for name, array in answers.items():
        if len(array) != num_rows:
            problems.append(f"output {name} has {len(array)} rows")
        elif array.dtype.kind == "f":
            if not np.isfinite(array).all():
                problems.append(f"output {name} is not finite")
            elif (deviation := float(np.abs(array - expected[name]).max())) > _LARGEST_DEVIATION:
                problems.append(f"output {name} is {deviation:.3g} from what the first way answers")
    return problems


def take_rows(spec: ReleaseSpec, num_rows: int) -> dict[str, np.ndarray]:
    """Take held-out rows, from the first again where there are fewer."""
    return {name: array[np.arange(num_rows) % len(array)] for name, array in spec.held_out.inputs.items()}
