"""One training session of a signal denoiser: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from training.engine.checkpoint import save_atomically
from training.engine.cost import count_parameters
from training.engine.device import choose_device, limit_threads
from training.engine.loop import Plan, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, finish_run, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.signal_denoiser.data import SignalData, load_data
from training.signal_denoiser.evaluate import evaluate_run
from training.signal_denoiser.network import SignalDenoiser
from training.signal_denoiser.objective import MONITOR, DenoiserTask
from training.signal_denoiser.recipe import Recipe


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a signal denoiser and leave its network, evaluation and picture in the run's folder."""
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, recipe)
    seed_everything(options.seed)
    task = make_task(recipe, data, device, options.seed)
    run = start_run(options, recipe)
    num_parameters = count_parameters(task.network)
    parts = f"{len(data.train)} training, {len(data.validation)} validation, {len(data.test)} test signals"
    print(f"{data.name}: {parts}; {num_parameters} parameters, {recipe.steps} steps on {device}", file=sys.stderr)
    plan = Plan(num_steps=recipe.steps, validate_every=min(recipe.steps, recipe.validate_every), monitor=MONITOR)
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    stored = {"network": task.best_network.state_dict(), "shape": (data.num_samples,)}
    save_atomically(stored, run / NETWORK)
    finish_run(run, {**evaluate_run(run, data), "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def make_task(recipe: Recipe, data: SignalData, device: torch.device, seed: int) -> DenoiserTask:
    """Build network and optimizer."""
    network = SignalDenoiser(recipe, data.num_samples).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    schedule = make_schedule("cosine", num_steps=recipe.steps, warmup_fraction=recipe.warmup_fraction)
    updater = Updater([optimizer], schedule, clip_norm=recipe.clip_norm)
    return DenoiserTask(recipe, network=network, updater=updater, data=data, device=device, seed=seed)
