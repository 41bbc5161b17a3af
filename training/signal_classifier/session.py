"""One training session of a signal classifier: from options to a finished run's folder."""

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
from training.labels.figures import fit_temperature
from training.signal_classifier.data import load_data
from training.signal_classifier.evaluate import evaluate_run
from training.signal_classifier.network import build_network
from training.signal_classifier.objective import SignalTask
from training.signal_classifier.program import predict_logits
from training.signal_classifier.recipe import Recipe
from training.signals.recordings import SignalData


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a signal classifier and leave its network, evaluation and pictures in the run's folder."""
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, recipe)
    seed_everything(options.seed)
    task = make_task(recipe, data, device, options.seed)
    run = start_run(options, recipe)
    num_parameters = count_parameters(task.network)
    print(f"{data.describe_parts()}; {num_parameters} parameters, {recipe.steps} steps on {device}", file=sys.stderr)
    plan = Plan(num_steps=recipe.steps, validate_every=min(recipe.steps, recipe.validate_every), monitor="accuracy")
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    temperature = fit_temperature(*task.predict_validation())
    logits = predict_logits(task.best_network, data.test.values, device)
    stored = {"labels": data.labels, "shape": (data.num_samples,), "temperature": temperature}
    save_atomically({"network": task.best_network.state_dict()} | stored, run / NETWORK)
    metrics = evaluate_run(run, logits, data, temperature, recipe.rate_hz)
    finish_run(run, {**metrics, "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def make_task(recipe: Recipe, data: SignalData, device: torch.device, seed: int) -> SignalTask:
    """Build network and optimizer."""
    network = build_network(recipe, data.num_samples, len(data.labels)).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = make_schedule("cosine", num_steps=recipe.steps, warmup_fraction=recipe.warmup_fraction)
    return SignalTask(
        train=data.train,
        validation=data.validation,
        batch_size=recipe.batch_size,
        seed=seed,
        network=network,
        updater=Updater([optimizer], schedule, clip_norm=recipe.clip_norm),
        device=device,
        label_smoothing=recipe.label_smoothing,
        average_decay=recipe.average_decay,
    )
