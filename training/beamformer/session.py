"""One training session of a beamformer: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from training.beamformer.channel import ChannelModel
from training.beamformer.data import Source, open_source
from training.beamformer.network import Beamformer, BeamformingNetwork
from training.beamformer.objective import BeamformerTask, NoiseLevels
from training.beamformer.recipe import Recipe
from training.beamformer.thesis import ComplexNetwork, ResidualEncoder, ThesisBeamformer
from training.engine.checkpoint import save_atomically
from training.engine.device import choose_device
from training.engine.loop import Plan, Progress, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.overrides import from_record
from training.engine.runs import NETWORK, finish_run, read_network, read_run, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything


def train_beamformer(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a beamformer and leave its network, evaluation and pictures in the run's folder."""
    from training.beamformer.evaluate import evaluate_run

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
    num_parameters = sum(parameter.numel() for parameter in task.network.parameters())
    print(
        f"{num_parameters} parameters, {recipe.steps} steps of {recipe.batch_size} channels on {device}",
        file=sys.stderr,
    )
    plan = Plan(num_steps=recipe.steps, validate_every=recipe.validate_every, monitor="percent_of_optimum")
    progress = fit(task, plan, run, resume=options.resume)
    save_atomically({"network": task.best_network.state_dict()}, run / NETWORK)
    return run, progress


def make_channel_model(recipe: Recipe) -> ChannelModel:
    """The channel model of a recipe."""
    return ChannelModel(
        num_clusters=recipe.num_clusters, rays_per_cluster=recipe.rays_per_cluster, spread_deg=recipe.spread_deg
    )


def build_network(recipe: Recipe) -> BeamformingNetwork:
    """Build a recipe's network, untrained."""
    model = make_channel_model(recipe)
    if recipe.network == "residual-encoder":
        return ThesisBeamformer(model, ResidualEncoder(model))
    if recipe.network == "complex-cnn":
        return ThesisBeamformer(model, ComplexNetwork(model))
    return Beamformer(
        model,
        gates=recipe.gates,
        num_first_sweeps=recipe.num_first_sweeps,
        num_hidden=recipe.num_hidden,
        num_phase_sweeps=recipe.num_phase_sweeps,
    )


def make_task(recipe: Recipe, source: Source, device: torch.device, seed: int) -> BeamformerTask:
    """Build network and optimizer."""
    network = build_network(recipe).to(device)
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


def load_network(run: Path) -> tuple[BeamformingNetwork, Recipe]:
    """Rebuild a finished run's network.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe = from_record(Recipe, read_run(run)["recipe"])
    network = build_network(recipe)
    network.load_state_dict(read_network(run)["network"])
    return network.eval(), recipe
