"""One training session of a generator: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

from training.engine.checkpoint import save_atomically
from training.engine.device import choose_device, limit_threads
from training.engine.loop import CHECKPOINT, Plan, fit
from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, record_findings, start_run, stop_run
from training.engine.seeds import seed_everything
from training.gan.adversarial import AdversarialTask
from training.gan.construction import GeneratorTask, make_task
from training.gan.data import fit_recipe, load_data
from training.gan.evaluate import evaluate_generator
from training.gan.health import CollapsedError
from training.gan.recipe import Recipe
from training.gan.style import StyleGenerator
from training.gan.style_pictures import MIXING, TRUNCATION, draw_mixing, draw_truncation
from training.images.assessment import finish_drawing
from training.images.data_checks import announce
from training.images.grids import save_picture
from training.images.judge import find_eyes, find_judge
from training.images.splits import ImageData
from training.images.validation import MONITOR

SAMPLES = "samples.png"


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a generator and leave its network, evaluation and pictures in the run's folder.

    Raises:
        CollapsedError: the detectors gave the run up; its record says why.
    """
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, recipe)
    findings = announce(data)
    recipe = fit_recipe(recipe, data)
    run = start_run(options, recipe)
    record_findings(run, findings)
    judge = find_judge(
        recipe, data, run, source=options.data, data_root=options.data_root, device=device, seed=options.seed
    )
    eyes = find_eyes(recipe, judge)
    seed_everything(options.seed)
    task, num_steps = make_task(recipe, data, judge, device, options.seed)
    print(f"{num_steps} steps of {recipe.batch_size} images on {device}", file=sys.stderr)
    plan = Plan(num_steps=num_steps, validate_every=-(-num_steps // recipe.num_validations), monitor=MONITOR)
    try:
        with limit_threads(recipe.max_threads):
            # A run that was interrupted while its judge was trained has no checkpoint yet.
            progress = fit(task, plan, run, resume=options.resume and (run / CHECKPOINT).exists())
    except CollapsedError as collapse:
        stop_run(run, str(collapse))
        raise
    keep_networks(run, data, task)
    save_picture(task.draw_pictures()["samples"], run / SAMPLES, enlarge=2)
    if isinstance(task.best_generator, StyleGenerator):
        draw_mixing(task.best_generator.eval(), run / MIXING)
        draw_truncation(task.best_generator, run / TRUNCATION)
    opponent = task.discriminator if isinstance(task, AdversarialTask) else task.encoder
    figures = evaluate_generator(run, recipe, data, task.best_generator, opponent, judge, eyes, seed=options.seed)
    finish_drawing(run, figures, progress)
    return run


def keep_networks(run: Path, data: ImageData, task: GeneratorTask) -> None:
    """Store what a release needs of a trained task."""
    content = {
        "generator": task.best_generator.state_dict(),
        "shape": data.shape,
        "labels": data.labels,
    }
    save_atomically(content, run / NETWORK)
