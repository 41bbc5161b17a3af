"""One training session of a beamformer: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from training.beamformer.data import Source, make_channel_model, open_source
from training.beamformer.evaluate import evaluate_run
from training.beamformer.network import build_network
from training.beamformer.objective import BeamformerTask, NoiseLevels
from training.beamformer.recipe import Recipe
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
    """Train a beamformer and leave its network, evaluation and pictures in the run's folder."""
    run, progress = fit_beamformer(recipe, options)
    finish_run(run, {**evaluate_run(run), "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def fit_beamformer(recipe: Recipe, options: TrainOptions) -> tuple[Path, Progress]:
    """Train a beamformer and leave its network in the run's folder, which is not finished yet."""
    device = choose_device(options.device)
    seed_everything(options.seed)
    source = open_source(options.data, options.data_root, make_channel_model(recipe))
    task = make_task(recipe, source, device, options.seed)
    run = start_run(options, recipe)
    num_parameters = count_parameters(task.network)
    print(
        f"{num_parameters} parameters, {recipe.steps} steps of {recipe.batch_size} channels on {device}",
        file=sys.stderr,
    )
    plan = Plan(num_steps=recipe.steps, validate_every=recipe.validate_every, monitor="percent_of_optimum")
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    save_atomically({"network": task.best_network.state_dict()}, run / NETWORK)
    return run, progress


def make_task(recipe: Recipe, source: Source, device: torch.device, seed: int) -> BeamformerTask:
    """Build network and optimizer."""
    network = build_network(recipe, make_channel_model(recipe)).to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, betas=(0.9, 0.99)
    )
    schedule = make_schedule("cosine", num_steps=recipe.steps, warmup_fraction=recipe.warmup_fraction)
    return BeamformerTask(
        network,
        source,
        Updater([optimizer], schedule, clip_norm=recipe.clip_norm),
        device,
        batch_size=recipe.batch_size,
        levels=NoiseLevels(
            noisy_db=recipe.csi_snr_db,
            clean_db=recipe.clean_csi_snr_db,
            clean_fraction=recipe.clean_fraction,
            known_fraction=recipe.known_fraction,
        ),
        loss=recipe.loss,
        average_decay=recipe.average_decay,
        seed=seed,
        num_validation=recipe.num_validation,
    )
