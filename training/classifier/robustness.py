"""How a finished run's classifier stands attacks, and whom it serves worse: `train classifier robustness RUN`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from training.classifier.attacks import attack
from training.classifier.data import load_data
from training.classifier.program import Program, predict_logits
from training.classifier.servable import load_program
from training.engine.runs import read_arrays, read_run, write_json
from training.engine.seeds import generator_for
from training.images.splits import Split
from training.labels.difference import read_right
from training.labels.fairness import measure_fairness
from training.labels.figures import EVALUATION, PREDICTIONS
from training.labels.groups import measure_groups
from training.labels.pictures import draw_groups, draw_robustness
from training.release.statistics import wilson_interval

_BATCH = 100
_PGD_STEPS = 10


def measure_robustness(program: Program, split: Split, bounds: Sequence[float]) -> list[dict[str, Any]]:
    """Accuracy under both attacks by bound, in units of the 8-bit pixel; a bound of 0 is the image as it is."""
    figures = []
    for method, num_steps in (("FGSM", 1), ("PGD", _PGD_STEPS)):
        for bound in (0.0, *bounds):
            generator = generator_for(0)
            right = sum(
                _count_right(program, images, labels, bound, num_steps, generator)
                for images, labels in zip(split.images.split(_BATCH), split.labels.split(_BATCH), strict=True)
            )
            accuracy = {"accuracy": right / len(split), "interval": list(wilson_interval(right, len(split)))}
            figures.append({"method": method, "steps": num_steps, "bound": bound, "n": len(split), **accuracy})
    return figures


def _count_right(
    program: Program, images: Tensor, labels: Tensor, bound: float, num_steps: int, generator: torch.Generator
) -> int:
    if bound:
        images = attack(program, images, labels, bound=bound, num_steps=num_steps, generator=generator)
    return int((predict_logits(program, images, torch.device("cpu")).argmax(1) == labels).sum())


def read_groups(path: Path, num_rows: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a group for each test row from a .npy of numbers or texts: indices int [N], and names in their order.

    Raises:
        ValueError: another number of rows.
    """
    values = np.load(path)
    if values.shape != (num_rows,):
        raise ValueError(
            f"{path} has shape {list(values.shape)}; it must give one group for each of {num_rows} test rows"
        )
    names, indices = np.unique(values, return_inverse=True)
    return indices, tuple(map(str, names))


def report_robustness(
    run: Annotated[Path, typer.Argument(help="Finished run.")],
    rows: Annotated[int, typer.Option(help="Most test images that are attacked.", min=1)] = 500,
    bounds: Annotated[str, typer.Option(help="Largest changes of a pixel of 0 … 255, with commas.")] = "1,2,4,8",
    groups: Annotated[
        Path | None, typer.Option(help=".npy with a group for each test row, beside the groups by class.")
    ] = None,
) -> None:
    """Attack a run's classifier by FGSM and PGD, and compare groups of rows, in its evaluation and as pictures."""
    program, recipe, stored = load_program(run)
    record = read_run(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    names = tuple(stored["labels"])
    right, labels = read_right(run)
    by_group = {"class": measure_groups(right, labels, names)}
    if groups is not None:
        group_rows, group_names = read_groups(groups, len(right))
        predicted = read_arrays(run, PREDICTIONS)["logits"].argmax(1)
        by_group[groups.stem] = measure_groups(right, group_rows, group_names) | {
            "fairness": measure_fairness(predicted, labels, group_rows, group_names, names)
        }
    chosen = torch.linspace(0, len(data.test) - 1, min(rows, len(data.test))).round().long()  # a folder is in order
    attacked = measure_robustness(program, data.test.take(chosen), _parse(bounds))
    evaluation = json.loads((run / EVALUATION).read_text())
    write_json(run / EVALUATION, evaluation | {"robustness": attacked, "by_group": by_group})
    draw_robustness(attacked, run / "robustness.png")
    draw_groups(by_group, run / "groups.png")
    typer.echo(_format(attacked, by_group))


def _parse(bounds: str) -> list[float]:
    try:
        values = [float(bound) for bound in bounds.split(",")]
    except ValueError:
        values = [0.0]
    if min(values) <= 0:
        raise ValueError(f"--bounds takes numbers above 0 with commas, such as 1,2,4; got {bounds!r}")
    return values


def _format(attacked: list[dict[str, Any]], by_group: dict[str, dict[str, Any]]) -> str:
    lines = ["| attack | largest change | accuracy |", "|---|---|---|"]
    for figure in attacked:
        low, high = figure["interval"]
        accuracy = f"{figure['accuracy']:.1%} ({low:.1%} … {high:.1%}) of {figure['n']}"
        lines.append(f"| {figure['method']}, steps: {figure['steps']} | {figure['bound']:g}/255 | {accuracy} |")
    for attribute, found in by_group.items():
        low, high = found["gap_interval"]
        lines.append(
            f"by {attribute}: worst {found['worst']}, {found['groups'][found['worst']]['accuracy']:.1%}; "
            f"{100 * found['gap']:.1f} points ({100 * low:.1f} … {100 * high:.1f}) below {found['best']}; "
            f"by chance alone p = {found['p_value']:.3g}"
        )
        for rate, widest in found.get("fairness", {}).items():
            low, high = widest["gap_interval"]
            lines.append(
                f"  {rate.replace('_', ' ')}, most of label {widest['label']}: {widest['highest']['group']} "
                f"{widest['highest']['rate']:.1%}, {widest['lowest']['group']} {widest['lowest']['rate']:.1%}; "
                f"{100 * widest['gap']:.1f} points ({100 * low:.1f} … {100 * high:.1f}), p = {widest['p_value']:.3g}"
            )
    return "\n".join(lines)
