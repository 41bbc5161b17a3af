"""One training session of CSI feedback: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from training.csi_feedback.data import CsiData, load_data
from training.csi_feedback.evaluate import evaluate_run
from training.csi_feedback.network import build_network
from training.csi_feedback.objective import FeedbackTask
from training.csi_feedback.recipe import Recipe
from training.engine.checkpoint import save_atomically
from training.engine.cost import count_parameters
from training.engine.device import choose_device, limit_threads
from training.engine.loop import Plan, Progress, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, finish_run, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train encoder and decoder and leave them, their evaluation and pictures in the run's folder."""
    data = load_data(options.data, options.data_root, recipe)
    run, progress = fit_codec(recipe, options, data)
    finish_run(run, {**evaluate_run(run, data), "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def fit_codec(recipe: Recipe, options: TrainOptions, data: CsiData) -> tuple[Path, Progress]:
    """Train encoder and decoder and leave them in the run's folder, which is not finished yet."""
    device = choose_device(options.device)
    seed_everything(options.seed)
    task = make_task(recipe, data, device, options.seed)
    run = start_run(options, recipe)
    num_parameters = count_parameters(task.network)
    print(
        f"{num_parameters} parameters, {recipe.code_size} values of {recipe.num_values}, {recipe.steps} steps of "
        f"{recipe.batch_size} channels on {device}; {len(data.validation)} channels of {data.name} validate, "
        f"{len(data.test)} test",
        file=sys.stderr,
    )
    plan = Plan(num_steps=recipe.steps, validate_every=min(recipe.steps, recipe.validate_every), monitor="below_db")
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    save_atomically({"network": task.best_network.state_dict()}, run / NETWORK)
    return run, progress


def make_task(recipe: Recipe, data: CsiData, device: torch.device, seed: int) -> FeedbackTask:
    """Build the pair and its optimizer."""
    network = build_network(recipe, data).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = make_schedule("cosine", num_steps=recipe.steps, warmup_fraction=recipe.warmup_fraction)
    updater = Updater([optimizer], schedule, clip_norm=recipe.clip_norm)
    return FeedbackTask(network, data, updater, device, recipe, seed)
