"""One training session of an image translator: from options to a finished run's folder."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from training.engine.checkpoint import save_atomically
from training.engine.cost import count_parameters
from training.engine.device import choose_device, limit_threads, place
from training.engine.loop import CHECKPOINT, Plan, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, finish_run, record_findings, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.image_translator.cycle import CycleTask, measure_cycles
from training.image_translator.data import as_labelled_images, load_data
from training.image_translator.domains import TranslationData
from training.image_translator.evaluate import evaluate_run
from training.image_translator.judging import Jury, find_jury
from training.image_translator.measurement import Measurement
from training.image_translator.network import build_network
from training.image_translator.objective import PairedTask
from training.image_translator.patches import PatchDiscriminator
from training.image_translator.recipe import Recipe
from training.images.data_checks import announce


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train an image translator and leave its network, evaluation and pictures in the run's folder."""
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, recipe)
    findings = announce(as_labelled_images(data)) if data.labels else []
    run = start_run(options, recipe)
    record_findings(run, findings)
    jury = find_jury(recipe, data, run, device, options.seed)
    seed_everything(options.seed)
    task = make_task(recipe, data, jury, device, options.seed)
    print(
        f"{count_parameters(task.network)} parameters, {recipe.steps} steps of {recipe.batch_size} images on {device}; "
        f"{data.name}: {len(data.train.sources)} sources to train on, {len(data.test.sources)} to test",
        file=sys.stderr,
    )
    plan = Plan(num_steps=recipe.steps, validate_every=min(recipe.steps, recipe.validate_every), monitor="quality")
    with limit_threads(recipe.max_threads):
        # A run that was interrupted while its judge was trained has no checkpoint yet.
        progress = fit(task, plan, run, resume=options.resume and (run / CHECKPOINT).exists())
        keep_network(run, data, task)
        more = {}
        if isinstance(task, CycleTask):
            more = measure_cycles(task.best_network, task.back, data.test.sources)
        figures = evaluate_run(run, recipe, data, task.best_network, jury, more)
    finish_run(run, {**figures, "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def keep_network(run: Path, data: TranslationData, task: PairedTask | CycleTask) -> None:
    """Store what a release needs of a trained task."""
    content = {
        "network": task.best_network.state_dict(),
        "labels": list(data.labels),
        "source_shape": list(data.source_shape),
        "target_shape": list(data.target_shape),
    }
    save_atomically(content, run / NETWORK)


def make_task(
    recipe: Recipe, data: TranslationData, jury: Jury, device: torch.device, seed: int
) -> PairedTask | CycleTask:
    """Build networks, optimizers and the task that trains them."""
    network = place(build_network(recipe, data.source_shape, data.target_shape), device)
    validation = Measurement(data.validation, jury, recipe.num_components)
    num_sources, num_targets = data.source_shape[2], data.target_shape[2]
    if recipe.method == "paired":
        discriminator, updater = None, None
        if recipe.adversarial_weight:
            discriminator = _build_discriminator(recipe, num_sources + num_targets, device)
            updater = _make_updater(recipe, discriminator.parameters(), recipe.discriminator_lr)
        return PairedTask(
            network,
            data,
            validation,
            updater=_make_updater(recipe, network.parameters(), recipe.lr),
            discriminator=discriminator,
            discriminator_updater=updater,
            device=device,
            recipe=recipe,
            seed=seed,
        )
    back = place(build_network(recipe, data.target_shape, data.source_shape), device)
    discriminators = nn.ModuleDict(
        {
            "targets": _build_discriminator(recipe, num_targets, device),
            "sources": _build_discriminator(recipe, num_sources, device),
        }
    )
    return CycleTask(
        network,
        data,
        validation,
        back=back,
        updater=_make_updater(recipe, [*network.parameters(), *back.parameters()], recipe.lr),
        discriminators=discriminators,
        discriminator_updater=_make_updater(recipe, discriminators.parameters(), recipe.discriminator_lr),
        device=device,
        recipe=recipe,
        seed=seed,
    )


def _build_discriminator(recipe: Recipe, num_channels: int, device: torch.device) -> PatchDiscriminator:
    return place(PatchDiscriminator(num_channels, recipe.patch_width, recipe.patch_depth), device)


def _make_updater(recipe: Recipe, parameters: Iterable[nn.Parameter], lr: float) -> Updater:
    optimizer = torch.optim.Adam(parameters, lr, betas=(recipe.beta1, 0.999), fused=True)
    return Updater([optimizer], make_schedule("cosine", num_steps=recipe.steps, warmup_fraction=0.05))
