"""One training session of a translator: from options to a finished run's folder."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from host.progress import ProgressBar
from training.engine.checkpoint import save_atomically
from training.engine.device import choose_device, limit_threads
from training.engine.distributed import leads, num_processes
from training.engine.loop import Plan, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.recomputation import recompute_activations
from training.engine.runs import NETWORK, finish_run, start_run, write_json
from training.engine.seeds import seed_everything
from training.release.reference import open_reference
from training.seq2seq.batches import TokenBatches
from training.seq2seq.data import ParallelData, load_data
from training.seq2seq.distillation import keep_lesson, learn_from, read_lesson, translate
from training.seq2seq.evaluate import EVALUATION, TRANSLATIONS, score_texts
from training.seq2seq.network import build_network
from training.seq2seq.objective import TranslationTask, make_inverse_sqrt
from training.seq2seq.parallel_text import Pair
from training.seq2seq.recipe import Recipe
from training.seq2seq.samples import SAMPLES, format_samples
from training.seq2seq.servable import VOCABULARY, describe_translator
from training.sequences.encoder import ResidualLayer
from training.sequences.vocabulary import Vocabulary, learn_vocabulary


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a translator and leave its network, vocabulary and evaluation in the run's folder.

    Raises:
        ValueError: several processes would each ask the teacher.
    """
    if recipe.teacher and not options.resume and num_processes() > 1:
        raise ValueError("one process asks the teacher: begin the run with one, stop it, and resume it with several")
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, num_validation=recipe.num_validation)
    seed_everything(options.seed)
    texts = (text for pair in data.train for text in pair)
    vocabulary = learn_vocabulary(texts, recipe.vocabulary_size, lowercase=recipe.lowercase)
    if recipe.teacher:
        data = read_lesson(data, options.out) if options.resume else learn_from(Path(recipe.teacher), data, device)
    task, num_steps = make_task(recipe, data, vocabulary, device, options.seed)
    run = start_run(options, recipe)
    if leads():
        vocabulary.save(run / VOCABULARY)
        if recipe.teacher:
            keep_lesson(data, run)
    print(
        f"{data.name}: {len(data.train)} training, {len(data.validation)} validation, {len(data.test)} test pairs, "
        f"{len(vocabulary)} pieces; {num_steps} steps on {device}",
        file=sys.stderr,
    )
    steps_per_epoch = task.batches.steps_per_epoch
    plan = Plan(num_steps=num_steps, validate_every=min(num_steps, max(100, steps_per_epoch)), monitor="accuracy")
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
        perplexity = task.validate()["perplexity"]
    save_atomically({"network": task.best_network.state_dict(), "num_pieces": len(vocabulary)}, run / NETWORK)
    metrics = {"validation_perplexity": perplexity, **record_evaluation(run, data, recipe, device)}
    finish_run(run, {**metrics, "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def record_evaluation(run: Path, data: ParallelData, recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """Translate all test sets through the handler, write the figures, and return the headline figures of the first."""
    spec = describe_translator(run, str(device), data)
    tests = {data.name: data.test, **data.further_tests}
    figures: dict[str, dict[str, Any]] = {}
    written = {}
    with tempfile.TemporaryDirectory(prefix="evaluation-") as work:
        handler = open_reference(spec, device, Path(work))
        with ProgressBar("translating", total=sum(map(len, tests.values()))) as bar:
            for name, pairs in tests.items():
                started = time.monotonic()
                sources, references = (list(side) for side in zip(*pairs, strict=True))
                translations = translate(handler.infer, sources, recipe.max_rows, bar)
                elapsed = {"translate_s": round(time.monotonic() - started, 4)}
                figures[name] = score_texts(translations, references, sources, recipe) | elapsed
                written[name] = {"translations": translations, "references": references}
                if name == data.name:
                    (run / SAMPLES).write_text(format_samples(sources, translations, references))
    write_json(run / EVALUATION, figures)
    write_json(run / TRANSLATIONS, written)
    first = figures[data.name]
    return {name: value for name, value in first.items() if isinstance(value, int | float | str)}


def make_task(
    recipe: Recipe, data: ParallelData, vocabulary: Vocabulary, device: torch.device, seed: int
) -> tuple[TranslationTask, int]:
    """Build network, optimizer and batches; also return the number of steps in all."""
    batches = make_batches(data.train, vocabulary, recipe, device, seed)
    network = build_network(recipe, len(vocabulary)).to(device)
    if recipe.recompute:
        recompute_activations(layer for layer in network.modules() if isinstance(layer, ResidualLayer))
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.lr, betas=(0.9, 0.98), eps=1e-9, weight_decay=recipe.weight_decay, fused=True
    )
    num_steps = max(1, round(recipe.epochs * batches.steps_per_epoch))
    task = TranslationTask(
        network=network,
        batches=batches,
        validation=make_batches(data.validation, vocabulary, recipe, device, seed).in_order(),
        updater=Updater(
            [optimizer],
            make_inverse_sqrt(recipe.warmup_steps, num_steps, recipe.cooldown_fraction),
            clip_norm=recipe.clip_norm,
        ),
        device=device,
        precision=recipe.precision,
        label_smoothing=recipe.label_smoothing,
        average_decay=recipe.average_decay,
        accumulation=recipe.accumulation,
        # From the truth alone at the start to its full rate at the end, along a line.
        sampling=lambda step: recipe.sampling * step / num_steps,
    )
    return task, num_steps


def make_batches(
    pairs: list[Pair], vocabulary: Vocabulary, recipe: Recipe, device: torch.device, seed: int
) -> TokenBatches:
    """Encode pairs; those longer than the network's positions are left out."""
    sources, targets = (vocabulary.encode(side) for side in zip(*pairs, strict=True))
    fitting = [
        row
        for row in zip(sources, targets, strict=True)
        if len(row[0]) <= recipe.max_pieces and len(row[1]) < 2 * recipe.max_pieces
    ]
    if not fitting:
        raise ValueError(f"every sentence has more than max_pieces={recipe.max_pieces} pieces; raise it")
    sources, targets = (list(side) for side in zip(*fitting, strict=True))
    return TokenBatches(sources, targets, tokens_per_batch=recipe.tokens_per_batch, seed=seed, device=device)
