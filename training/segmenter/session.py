"""One training session of a segmenter: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from training.engine.checkpoint import save_atomically
from training.engine.cost import count_parameters
from training.engine.device import choose_device, limit_threads, place
from training.engine.loop import Plan, Progress, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.pruning import prune_channels
from training.engine.runs import NETWORK, finish_run, record_findings, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import generator_for, seed_everything
from training.segmenter.data import SceneData, draw_calibration, load_data
from training.segmenter.evaluate import evaluate_run
from training.segmenter.network import Segmenter, build_network, load_network
from training.segmenter.objective import SegmenterTask, TaskWeights, measure_losses
from training.segmenter.recipe import Recipe

_NUM_PRUNING, _PRUNING_SEED = 200, 20_191_118  # training images that say which channels are worth least
_NUM_MEASURED = 500  # training images whose pixels say how to normalize


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a segmenter and leave its network, evaluation and pictures in the run's folder."""
    data = load_data(options.data, options.data_root, recipe)
    run, progress = fit_segmenter(recipe, options, data)
    finish_run(run, {**evaluate_run(run, data), "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def fit_segmenter(recipe: Recipe, options: TrainOptions, data: SceneData) -> tuple[Path, Progress]:
    """Train a segmenter and leave its network in the run's folder, which is not finished yet."""
    device = choose_device(options.device)
    seed_everything(options.seed)
    task = make_task(recipe, data, device, options.seed)
    run = start_run(options, recipe)
    record_findings(run, data.findings)
    num_parameters = count_parameters(task.network)
    print("".join(f"note: {finding}\n" for finding in data.findings), end="", file=sys.stderr)
    print(
        f"{num_parameters} parameters, {recipe.steps} steps of {recipe.batch_size} images on {device}; "
        f"{len(data.validation)} images of {data.name} validate, {len(data.test)} test",
        file=sys.stderr,
    )
    plan = Plan(num_steps=recipe.steps, validate_every=min(recipe.steps, recipe.validate_every), monitor="score")
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    save_atomically(
        {"network": task.best_network.state_dict(), "classes": list(data.classes), "shape": list(data.shape)},
        run / NETWORK,
    )
    return run, progress


def make_task(recipe: Recipe, data: SceneData, device: torch.device, seed: int) -> SegmenterTask:
    """Build network and optimizer; what weighs the tasks does not decay."""
    if recipe.start_from is not None:
        network = _start_from(Path(recipe.start_from), recipe, data)
    else:
        network = build_network(recipe, draw_calibration(data, _NUM_MEASURED), len(data.classes))
    network = place(network, device)
    weights = TaskWeights(recipe).to(device)
    groups = [
        {"params": list(network.parameters()), "weight_decay": recipe.weight_decay},
        {"params": list(weights.parameters()), "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr)
    schedule = make_schedule("cosine", num_steps=recipe.steps, warmup_fraction=recipe.warmup_fraction)
    updater = Updater([optimizer], schedule, clip_norm=recipe.clip_norm)
    return SegmenterTask(network, weights, data, updater, device, recipe, seed)


def _start_from(run: Path, recipe: Recipe, data: SceneData) -> Segmenter:
    """Take a finished run's network, without the channels that the recipe has pruned.

    Raises:
        FileNotFoundError: there is no such run, or it did not finish.
        ValueError: it has another network, other images or other classes.
    """
    network, earlier, stored = load_network(run)
    for name in ("width", "depth", "skips", "tasks"):
        if (own := getattr(recipe, name)) != (its := getattr(earlier, name)):
            raise ValueError(f"start_from={run} has {name}={its}, this recipe {own}; set {name}={its}")
    for name, values in (("classes", data.classes), ("shape", data.shape)):
        if list(stored[name]) != list(values):
            raise ValueError(f"start_from={run} was trained with {name} {list(stored[name])}, not {list(values)}")
    network.requires_grad_(True)
    if recipe.pruned_fraction:
        scenes = data.source.sample(_NUM_PRUNING, generator_for(_PRUNING_SEED))
        pixels, unet = network.normalization(scenes.images), network.network
        losses = measure_losses(unet(pixels), scenes.masks.long(), len(data.classes), recipe.dice_weight)
        heads = [head for head in (unet.mask_head, unet.label_head) if head is not None]
        prune_channels(unet, recipe.pruned_fraction, pixels[:2], sum(losses.values(), start=torch.zeros(())), heads)
    return network
