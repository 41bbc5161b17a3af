"""From a recipe and data to networks, optimizers and the task that trains them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from training.engine.device import place
from training.engine.optimization import Updater
from training.engine.schedules import make_schedule
from training.gan.adversarial import AdversarialTask
from training.gan.health import HealthMonitor
from training.gan.network import AnyGenerator, build_generator, build_opponent
from training.gan.objective import Game
from training.gan.recipe import Recipe
from training.gan.variational import VariationalTask
from training.images.augmentation import TrainingBatches
from training.images.dcgan import Discriminator
from training.images.features import FeatureNetwork
from training.images.splits import ImageData
from training.images.validation import Validation

GeneratorTask = AdversarialTask | VariationalTask


def make_task(
    recipe: Recipe, data: ImageData, judge: FeatureNetwork, device: torch.device, seed: int
) -> tuple[GeneratorTask, int]:
    """Build a task with everything it needs; also return the number of steps in all."""
    batches = TrainingBatches(
        data.train,
        batch_size=recipe.batch_size,
        seed=seed,
        device=device,
        shift_px=recipe.shift_px,
        flip=recipe.flip,
    )
    num_steps = max(1, round(recipe.epochs * batches.steps_per_epoch / recipe.discriminator_steps))
    validation = Validation(
        data.validation,
        judge,
        num_samples=max(200, min(2000, 4 * len(data.validation))),
        latent_size=recipe.latent_size,
        conditional=recipe.conditional,
        seed=seed,
    )
    generator, opponent = build_generator(recipe, data.shape, len(data.labels)), build_opponent(recipe, data)
    place(generator, device)
    place(opponent, device)
    make = _make_variational if recipe.method == "variational" else _make_adversarial
    return make(recipe, generator, opponent, batches, validation, num_steps, device, seed), num_steps


def _make_updater(recipe: Recipe, parameters: Iterable[nn.Parameter], lr: float, num_steps: int) -> Updater:
    optimizer = torch.optim.Adam(parameters, lr, betas=(recipe.beta1, recipe.beta2), fused=True)
    schedule = make_schedule(recipe.schedule, num_steps=num_steps, warmup_fraction=recipe.warmup_fraction)
    return Updater([optimizer], schedule, clip_norm=recipe.clip_norm)


def _make_variational(
    recipe: Recipe,
    generator: AnyGenerator,
    encoder: Discriminator,
    batches: TrainingBatches,
    validation: Validation,
    num_steps: int,
    device: torch.device,
    seed: int,
) -> VariationalTask:
    parameters = [*generator.parameters(), *encoder.parameters()]
    return VariationalTask(
        generator=generator,
        encoder=encoder,
        updater=_make_updater(recipe, parameters, recipe.generator_lr, num_steps),
        batches=batches,
        validation=validation,
        device=device,
        seed=seed,
        pixel_deviation=recipe.pixel_deviation,
        precision=recipe.precision,
        average_decay=recipe.average_decay,
    )


def _make_adversarial(
    recipe: Recipe,
    generator: AnyGenerator,
    discriminator: Discriminator,
    batches: TrainingBatches,
    validation: Validation,
    num_steps: int,
    device: torch.device,
    seed: int,
) -> AdversarialTask:
    return AdversarialTask(
        generator=generator,
        discriminator=discriminator,
        generator_updater=_make_updater(recipe, generator.parameters(), recipe.generator_lr, num_steps),
        discriminator_updater=_make_updater(recipe, discriminator.parameters(), recipe.discriminator_lr, num_steps),
        game=Game(
            loss=recipe.loss,
            discriminator_steps=recipe.discriminator_steps,
            penalty_weight=recipe.penalty_weight,
            r1_weight=recipe.r1_weight,
            r1_every=recipe.r1_every,
            class_weight=recipe.class_weight,
            growth_steps=round(recipe.growth * num_steps),
        ),
        batches=batches,
        validation=validation,
        monitor=HealthMonitor(min_diversity=recipe.min_diversity, patience=recipe.patience),
        device=device,
        seed=seed,
        precision=recipe.precision,
        average_decay=recipe.average_decay,
    )
