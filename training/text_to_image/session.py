"""One training session of what draws captions: from options to a finished run's folder."""

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
from training.engine.runs import NETWORK, finish_run, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.sequences.vocabulary import Vocabulary, learn_vocabulary
from training.text_to_image.captioned import CaptionData
from training.text_to_image.data import load_data
from training.text_to_image.evaluate import evaluate_run
from training.text_to_image.jury import VOCABULARY, Jury, find_jury
from training.text_to_image.measurement import Measurement
from training.text_to_image.network import build_network
from training.text_to_image.objective import MONITOR, DrawingTask
from training.text_to_image.opponent import CaptionDiscriminator
from training.text_to_image.pairs import Pairs
from training.text_to_image.recipe import Recipe


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train what draws captions and leave its network, vocabulary, evaluation and pictures in the run's folder."""
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, recipe)
    vocabulary = learn_captions(data, recipe)
    run = start_run(options, recipe)
    vocabulary.save(run / VOCABULARY)
    with limit_threads(recipe.max_threads):
        jury = find_jury(recipe, data, vocabulary, run, device, options.seed)
        seed_everything(options.seed)
        task = make_task(recipe, data, vocabulary, jury, device, options.seed)
        print(
            f"{count_parameters(task.network)} parameters, {recipe.steps} steps of {recipe.batch_size} images on "
            f"{device}; {data.describe_parts()}",
            file=sys.stderr,
        )
        plan = Plan(num_steps=recipe.steps, validate_every=min(recipe.steps, recipe.validate_every), monitor=MONITOR)
        # A run that was interrupted while its jury was trained has no checkpoint yet.
        progress = fit(task, plan, run, resume=options.resume and (run / CHECKPOINT).exists())
        keep_network(run, data, task, vocabulary)
        figures = evaluate_run(run, recipe, data, task.best_network, jury, vocabulary)
    finish_run(run, {**figures, "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def learn_captions(data: CaptionData, recipe: Recipe) -> Vocabulary:
    """Learn a vocabulary of the training captions; raises as `learn_vocabulary` does."""
    texts = [caption for captions in data.train.captions for caption in captions]
    return learn_vocabulary(texts, recipe.vocabulary_size, lowercase=True)


def keep_network(run: Path, data: CaptionData, task: DrawingTask, vocabulary: Vocabulary) -> None:
    """Store what a release needs of a trained task."""
    content = {
        "network": task.best_network.state_dict(),
        "num_pieces": len(vocabulary),
        "classes": list(data.classes),
        "shape": list(data.shape),
    }
    save_atomically(content, run / NETWORK)


def make_task(
    recipe: Recipe, data: CaptionData, vocabulary: Vocabulary, jury: Jury, device: torch.device, seed: int
) -> DrawingTask:
    """Build networks, optimizers and the task that trains them."""
    network = place(build_network(recipe, len(vocabulary), data.shape), device)
    discriminator = place(CaptionDiscriminator(recipe, data.shape), device)
    learning = (parameter for parameter in network.parameters() if parameter.requires_grad)
    return DrawingTask(
        network,
        discriminator,
        jury.teacher,
        updater=_make_updater(recipe, learning, recipe.lr),
        discriminator_updater=_make_updater(recipe, discriminator.parameters(), recipe.discriminator_lr),
        pairs=Pairs.of(data.train, vocabulary, recipe.max_pieces),
        validation=Measurement(data.validation, data, jury, vocabulary, recipe),
        device=device,
        recipe=recipe,
        seed=seed,
    )


def _make_updater(recipe: Recipe, parameters: Iterable[nn.Parameter], lr: float) -> Updater:
    optimizer = torch.optim.Adam(parameters, lr, betas=(recipe.beta1, 0.999), fused=True)
    return Updater([optimizer], make_schedule("cosine", num_steps=recipe.steps, warmup_fraction=0.02))
