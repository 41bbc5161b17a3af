"""One training session of an anomaly detector: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from training.anomaly_detector.data import UsualData, load_data
from training.anomaly_detector.evaluate import evaluate_run
from training.anomaly_detector.network import SignalAutoencoder
from training.anomaly_detector.objective import MONITOR, DetectorTask
from training.anomaly_detector.program import answer_signals
from training.anomaly_detector.recipe import Recipe
from training.engine.checkpoint import save_atomically
from training.engine.cost import count_parameters
from training.engine.device import choose_device, limit_threads
from training.engine.loop import Plan, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, finish_run, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.labels.unusual import find_threshold


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train an anomaly detector and leave its network, threshold, evaluation and pictures in the run's folder."""
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, recipe)
    seed_everything(options.seed)
    task = make_task(recipe, data, device, options.seed)
    run = start_run(options, recipe)
    parts = f"{len(data.train)} training, {len(data.validation)} validation signals that are {data.usual}"
    print(
        f"{data.name}: {parts}, {len(data.test)} test signals; {count_parameters(task.network)} parameters, "
        f"{recipe.steps} steps on {device}",
        file=sys.stderr,
    )
    plan = Plan(num_steps=recipe.steps, validate_every=min(recipe.steps, recipe.validate_every), monitor=MONITOR)
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    stored = {
        "network": task.best_network.state_dict(),
        "shape": (data.num_samples,),
        "labels": data.labels,
        "threshold": find_threshold(answer_signals(task.best_network, data.validation).deviation, recipe.usual_share),
    }
    save_atomically(stored, run / NETWORK)
    finish_run(run, {**evaluate_run(run, data), "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def make_task(recipe: Recipe, data: UsualData, device: torch.device, seed: int) -> DetectorTask:
    """Build network and optimizer."""
    network = SignalAutoencoder(recipe, data.num_samples).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    schedule = make_schedule("cosine", num_steps=recipe.steps, warmup_fraction=recipe.warmup_fraction)
    updater = Updater([optimizer], schedule, clip_norm=recipe.clip_norm)
    return DetectorTask(recipe, network=network, updater=updater, data=data, device=device, seed=seed)
