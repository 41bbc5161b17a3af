"""One training session of a language model: from options to a finished run's folder."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch

from training.engine.checkpoint import save_atomically
from training.engine.cost import count_parameters
from training.engine.device import choose_device, limit_threads
from training.engine.loop import Plan, Progress, fit
from training.engine.muon import divide_parameters
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.overrides import from_record
from training.engine.recomputation import recompute_activations
from training.engine.runs import NETWORK, finish_run, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.language_model.data import Corpus, load_data
from training.language_model.evaluate import evaluate_run
from training.language_model.gpt2 import load_weights, read_sizes
from training.language_model.network import build_network
from training.language_model.objective import LanguageTask
from training.language_model.recipe import Recipe
from training.language_model.vocabularies import TextVocabulary, make_stream, make_vocabulary
from training.language_model.windows import cut_windows


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a language model and leave its network, vocabulary, evaluation and pictures in the run's folder."""
    if recipe.weights is not None:
        recipe = from_record(Recipe, dataclasses.asdict(recipe) | read_sizes(Path(recipe.weights)))
    device = choose_device(options.device)
    seed_everything(options.seed)
    corpus = load_data(options.data, options.data_root)
    vocabulary, files = make_vocabulary(recipe, corpus)
    task = make_task(recipe, corpus, vocabulary, device, options.seed)
    run = start_run(options, recipe)
    for name, content in files.items():
        (run / name).write_bytes(content)
    num_parameters = count_parameters(task.network)
    print(
        f"{num_parameters} parameters, {len(vocabulary)} pieces, {recipe.steps} steps of {recipe.batch_size} windows "
        f"on {device}",
        file=sys.stderr,
    )
    progress = fit_network(task, recipe, run, resume=options.resume)
    save_atomically({"network": task.best_network.state_dict(), "num_pieces": len(vocabulary)}, run / NETWORK)
    figures = evaluate_run(run, corpus)
    finish_run(run, {**figures, "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def fit_network(task: LanguageTask, recipe: Recipe, run: Path, *, resume: bool) -> Progress:
    """Take the recipe's steps; with none, weights stay as they were loaded."""
    if not recipe.steps:
        return Progress()
    plan = Plan(num_steps=recipe.steps, validate_every=min(recipe.steps, recipe.validate_every), monitor="gain")
    with limit_threads(recipe.max_threads):
        return fit(task, plan, run, resume=resume)


def make_task(
    recipe: Recipe, corpus: Corpus, vocabulary: TextVocabulary, device: torch.device, seed: int
) -> LanguageTask:
    """Build network and optimizer, and cut the corpus.

    Raises:
        ValueError: the text is shorter than a window.
    """
    network = build_network(recipe, len(vocabulary))
    if recipe.weights is not None:
        load_weights(network, Path(recipe.weights))
    network.to(device)
    if recipe.recompute:
        recompute_activations(network.each_layer())
    optimizers = divide_parameters(
        network,
        network.list_matrices(),
        matrix_lr=0.0 if recipe.weights else recipe.matrix_lr,  # Muon would not leave loaded matrices their norms
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
    )
    schedule = make_schedule("cosine", num_steps=max(1, recipe.steps), warmup_fraction=recipe.warmup_fraction)
    stream = make_stream(corpus, vocabulary)
    if len(stream) < recipe.context:
        raise ValueError(f"{corpus.name} has {len(stream)} pieces to train on, fewer than context={recipe.context}")
    return LanguageTask(
        network,
        stream,
        cut_windows(corpus.validation, vocabulary, recipe.context, recipe.num_validation),
        Updater(optimizers, schedule, clip_norm=recipe.clip_norm),
        device,
        context=recipe.context,
        batch_size=recipe.batch_size,
        accumulation=recipe.accumulation,
        average_decay=recipe.average_decay,
        seed=seed,
    )
