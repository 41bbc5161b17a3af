"""Steps against quality: `train diffusion steps RUN` draws what each sampler makes of a network in so many steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, get_args

import torch
import typer

from model_store.denoising import Sampler
from training.diffusion.program import make_drawing
from training.diffusion.servable import load_trained
from training.engine.device import limit_threads
from training.engine.runs import write_json
from training.engine.seeds import generator_for
from training.images.distances import FrechetReference
from training.images.judge import locate_judge, open_judge

_SAMPLES = 50


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one sampler makes in so many steps: Fréchet distance, share of images of the class asked for, time."""

    sampler: Sampler
    steps: int
    guidance: float
    frechet: float
    label_fidelity: float
    s_per_image: float


def measure_points(run: Path, counts: Sequence[int], guidances: Sequence[float], num_samples: int) -> list[Point]:
    """Measure every sampler at every number of steps and guidance, always with the same noise and labels."""
    network, recipe, data = load_trained(run)
    device = torch.device("cpu")
    judge = open_judge(locate_judge(recipe, run), data, device)
    reference = FrechetReference(judge.describe(data.test.images).features)
    points = []
    for sampler in get_args(Sampler):
        for guidance in guidances:
            for steps in counts:
                asked = replace(recipe, sampler=sampler, steps=steps, guidance=guidance)
                started = time.perf_counter()
                drawn = make_drawing(network, asked, device).sample(data, num_samples, generator_for(0, _SAMPLES))
                took_s = time.perf_counter() - started
                found = judge.describe(drawn.images)
                points.append(
                    Point(
                        sampler=sampler,
                        steps=steps,
                        guidance=guidance,
                        frechet=reference.distance(found.features),
                        label_fidelity=float((found.predicted == drawn.labels.numpy()).mean()),
                        s_per_image=took_s / num_samples,
                    )
                )
    return points


def format_table(points: Sequence[Point]) -> str:
    """Describe points as a Markdown table."""
    lines = ["| sampler | guidance | steps | Fréchet | label fidelity | ms per image |", "|---" * 6 + "|"]
    lines += [
        f"| {point.sampler} | {point.guidance:g} | {point.steps} | {point.frechet:.4g} | {point.label_fidelity:.1%} "
        f"| {1e3 * point.s_per_image:.2f} |"
        for point in points
    ]
    return "\n".join(lines)


def draw_points(points: Sequence[Point], path: Path) -> None:
    """Plot Fréchet distance and label fidelity against the number of steps, a line for each sampler and guidance."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(11, 4), layout="constrained")
    distance, fidelity = figure.subplots(1, 2)
    styles = {"dpm-solver++": "-", "ddim": "--"}
    guidances = sorted({point.guidance for point in points})
    for sampler, style in styles.items():
        for index, guidance in enumerate(guidances):
            line = [point for point in points if (point.sampler, point.guidance) == (sampler, guidance)]
            steps = [point.steps for point in line]
            look = {
                "color": f"C{index}",
                "linestyle": style,
                "marker": ".",
                "label": f"{sampler}, guidance {guidance:g}",
            }
            distance.plot(steps, [point.frechet for point in line], **look)
            fidelity.plot(steps, [point.label_fidelity for point in line], **look)
    distance.set(xlabel="steps", ylabel="Fréchet distance", xscale="log", yscale="log")
    fidelity.set(xlabel="steps", ylabel="label fidelity", xscale="log")
    for axis in (distance, fidelity):
        axis.set_xticks(ticks := sorted({point.steps for point in points}), labels=[str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    distance.legend()
    figure.savefig(path, dpi=110)


def compare_steps(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    counts: Annotated[str, typer.Option(help="Numbers of steps, with commas.")] = "2,3,5,10,20,50",
    guidances: Annotated[str, typer.Option(help="Guidances, with commas.")] = "1,2",
    samples: Annotated[int, typer.Option(help="Images drawn for each point.", min=10)] = 1000,
    threads: Annotated[int, typer.Option(help="Most CPU threads; 0 leaves it to torch.", min=0)] = 1,
) -> None:
    """Measure quality against steps for every sampler; leave steps.json and steps.png in the run's folder."""
    with limit_threads(threads):
        points = measure_points(
            run, [int(one) for one in counts.split(",")], [float(one) for one in guidances.split(",")], samples
        )
    write_json(run / "steps.json", [vars(point) for point in points])
    draw_points(points, run / "steps.png")
    typer.echo(format_table(points))
