"""One training session of a forecaster: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from training.engine.checkpoint import save_atomically
from training.engine.cost import count_parameters
from training.engine.device import choose_device, limit_threads
from training.engine.distillation import Teacher
from training.engine.loop import Plan, Progress, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, finish_run, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.forecaster.baselines import fit_linear
from training.forecaster.data import SeriesData, load_data
from training.forecaster.evaluate import evaluate_run
from training.forecaster.network import build_network, load_network, measure_scale
from training.forecaster.objective import ForecasterTask
from training.forecaster.recipe import Recipe


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a forecaster and leave its network, evaluation and pictures in the run's folder."""
    data = load_data(options.data, options.data_root, recipe)
    run, progress = fit_forecaster(recipe, options, data)
    finish_run(run, {**evaluate_run(run, data), "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def fit_forecaster(recipe: Recipe, options: TrainOptions, data: SeriesData) -> tuple[Path, Progress]:
    """Train a forecaster and leave its network in the run's folder, which is not finished yet."""
    device = choose_device(options.device)
    seed_everything(options.seed)
    task = make_task(recipe, data, device, options.seed)
    run = start_run(options, recipe)
    num_parameters = count_parameters(task.network)
    print(
        f"{num_parameters} parameters, {recipe.steps} steps of {recipe.batch_size} windows on {device}; "
        f"{len(data.validation)} windows of {data.name} validate, {len(data.test)} test",
        file=sys.stderr,
    )
    plan = Plan(
        num_steps=recipe.steps, validate_every=min(recipe.steps, recipe.validate_every), monitor="saved_percent"
    )
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    save_atomically({"network": task.best_network.state_dict()}, run / NETWORK)
    return run, progress


def make_task(recipe: Recipe, data: SeriesData, device: torch.device, seed: int) -> ForecasterTask:
    """Build network and optimizer; the linear part begins as the linear baseline ends."""
    network = build_network(recipe).to(device)
    weights = fit_linear(data.source, recipe).weights.float()
    with torch.no_grad():
        network.linear.weight.copy_(weights[:-1].T)
        network.linear.bias.copy_(weights[-1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = make_schedule("cosine", num_steps=recipe.steps, warmup_fraction=recipe.warmup_fraction)
    return ForecasterTask(
        network,
        data,
        Updater([optimizer], schedule, clip_norm=recipe.clip_norm),
        device,
        context=recipe.context,
        levels=recipe.levels,
        batch_size=recipe.batch_size,
        average_decay=recipe.average_decay,
        seed=seed,
        teacher=_find_teacher(recipe, device),
    )


def _find_teacher(recipe: Recipe, device: torch.device) -> Teacher | None:
    """Raises a ValueError where the teacher sees another context or forecasts other steps or levels."""
    if recipe.teacher is None:
        return None
    network, taught = load_network(Path(recipe.teacher))
    for name in ("context", "horizon", "levels"):
        if (own := getattr(recipe, name)) != (its := getattr(taught, name)):
            raise ValueError(f"{recipe.teacher} has {name}={its}, this recipe {own}; set {name}={its}")
    network.to(device)

    def answer(history: Tensor) -> Tensor:
        return network(history) / measure_scale(history)[1][..., None]

    return Teacher(answer, F.l1_loss, recipe.teacher_weight)
