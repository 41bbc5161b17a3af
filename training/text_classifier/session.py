"""One training session of a text classifier: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from training.engine.checkpoint import save_atomically
from training.engine.data_path import find_path
from training.engine.device import choose_device, limit_threads
from training.engine.distillation import Teacher, compare_labels
from training.engine.loop import Plan, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, finish_run, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.labels.figures import fit_temperature
from training.sequences.batching import LengthPlan
from training.text_classifier.data import TextData, Texts, load_data
from training.text_classifier.evaluate import evaluate_run
from training.text_classifier.network import build_network, describe_network, load_network, read_recipe
from training.text_classifier.objective import EncodedTexts, TextTask
from training.text_classifier.pretrained import load_pretrained_subwords
from training.text_classifier.program import predict_logits
from training.text_classifier.recipe import Recipe
from training.text_classifier.subwords import Subwords, learn_subwords, load_subwords


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a text classifier and leave its network, subwords, evaluation and pictures in the run's folder."""
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, validation_fraction=recipe.validation_fraction)
    seed_everything(options.seed)
    subwords = find_subwords(recipe, data, options.data_root)
    task, num_steps = make_task(recipe, data, subwords, options.data_root, device, options.seed)
    run = start_run(options, recipe)
    subwords.save(run)
    trained = sum(parameter.numel() for parameter in task.network.parameters() if parameter.requires_grad)
    print(
        f"{data.describe_parts()}, {len(subwords)} pieces; {trained} weights to train, {num_steps} steps on {device}",
        file=sys.stderr,
    )
    plan = Plan(num_steps=num_steps, validate_every=min(num_steps, task.plan.steps_per_epoch), monitor="accuracy")
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    temperature = fit_temperature(
        predict_logits(task.best_network, task.validation.rows, device), task.validation.labels
    )
    logits = predict_logits(task.best_network, subwords.encode(data.test.texts, recipe.max_pieces), device)
    stored = describe_network(task.best_network, labels=data.labels, num_pieces=len(subwords), temperature=temperature)
    save_atomically(stored, run / NETWORK)
    metrics = evaluate_run(run, logits, data, temperature)
    finish_run(run, {**metrics, "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def find_subwords(recipe: Recipe, data: TextData, data_root: Path) -> Subwords:
    """Those of the pretrained network or of the teacher, or learned from the training texts.

    Raises:
        ValueError: the teacher folds case otherwise, or reads texts to another length.
    """
    if recipe.teacher is not None:
        taught = read_recipe(Path(recipe.teacher))
        for name in ("lowercase", "max_pieces"):
            if (own := getattr(recipe, name)) != (its := getattr(taught, name)):
                raise ValueError(f"{recipe.teacher} has {name}={its}, this recipe {own}; set {name}={its}")
        return load_subwords(Path(recipe.teacher), lowercase=recipe.lowercase)
    if recipe.network == "pretrained":
        assert recipe.weights_folder is not None
        return load_pretrained_subwords(find_path(recipe.weights_folder, data_root))
    return learn_subwords(data.train.texts, recipe.vocabulary_size, lowercase=recipe.lowercase)


def make_task(
    recipe: Recipe, data: TextData, subwords: Subwords, data_root: Path, device: torch.device, seed: int
) -> tuple[TextTask, int]:
    """Build network, optimizer and batches; also return the number of steps in all."""

    def encode(texts: Texts) -> EncodedTexts:
        return EncodedTexts(subwords.encode(texts.texts, recipe.max_pieces), texts.labels)

    train_texts = encode(data.train)
    lengths = list(map(len, train_texts.rows))
    batches = LengthPlan(lengths, tokens_per_batch=recipe.tokens_per_batch, seed=seed)
    num_steps = max(1, round(recipe.epochs * batches.steps_per_epoch))
    network = build_network(recipe, len(subwords), len(data.labels), data_root).to(device)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = make_schedule("cosine", num_steps=num_steps, warmup_fraction=recipe.warmup_fraction)
    task = TextTask(
        network=network,
        train=train_texts,
        validation=encode(data.validation),
        plan=batches,
        updater=Updater([optimizer], schedule, clip_norm=recipe.clip_norm),
        device=device,
        label_smoothing=recipe.label_smoothing,
        average_decay=recipe.average_decay,
        teacher=_find_teacher(recipe, data, device),
    )
    return task, num_steps


def _find_teacher(recipe: Recipe, data: TextData, device: torch.device) -> Teacher | None:
    if recipe.teacher is None:
        return None
    network, _, stored = load_network(Path(recipe.teacher))
    if list(stored["labels"]) != list(data.labels):
        raise ValueError(f"{recipe.teacher} was trained on other labels: {', '.join(stored['labels'])}")
    return Teacher(network.to(device), compare_labels(recipe.teacher_temperature), recipe.teacher_weight)
