"""One training session of a classifier: from options to a finished run's folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from training.classifier.compact import CompactNetwork
from training.classifier.data import fit_recipe, load_data
from training.classifier.evaluate import evaluate_run
from training.classifier.network import build_network
from training.classifier.objective import ClassifierTask
from training.classifier.program import Program, predict_logits
from training.classifier.recipe import Recipe
from training.classifier.restore import check_same_task, restore_network
from training.classifier.transfer import PretrainedNetwork
from training.classifier.vit import VisionTransformer
from training.engine.batch_norm import share_batch_norms
from training.engine.checkpoint import save_atomically
from training.engine.device import Precision, autocast, choose_device, limit_threads, place
from training.engine.distillation import Teacher, compare_labels
from training.engine.distributed import num_processes
from training.engine.loop import Plan, fit
from training.engine.muon import divide_parameters
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.privacy import PrivacyTerms, PrivateGradients
from training.engine.pruning import prune_channels
from training.engine.quantize_aware import RoundedNetwork
from training.engine.recomputation import recompute_activations
from training.engine.runs import NETWORK, finish_run, record_findings, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.images.augmentation import TrainingBatches
from training.images.data_checks import announce
from training.images.normalization import Normalization
from training.images.splits import ImageData
from training.labels.figures import fit_temperature
from training.labels.membership import measure_membership

_PRUNING_IMAGES = 500  # that say which channels are worth least


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a classifier and leave its network, evaluation and pictures in the run's folder."""
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, recipe)
    findings = announce(data)
    recipe = fit_recipe(recipe, data)
    seed_everything(options.seed)
    task, num_steps = make_task(recipe, data, device, options.seed)
    run = start_run(options, recipe)
    record_findings(run, findings)
    print(f"{num_steps} steps of {recipe.batch_size} images on {device}", file=sys.stderr)
    plan = Plan(
        num_steps=num_steps,
        validate_every=min(num_steps, task.batches.steps_per_epoch),
        monitor="accuracy",
        patience=recipe.patience,
    )
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    metrics = finish_classifier(run, recipe, data, task, device, pictures=options.pictures)
    finish_run(run, {**metrics, "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def make_task(recipe: Recipe, data: ImageData, device: torch.device, seed: int) -> tuple[ClassifierTask, int]:
    """Build network, optimizers and batches; also return the number of steps in all.

    Raises:
        ValueError: several processes cannot divide this recipe's batches.
    """
    _check_divisible(recipe)
    batches = TrainingBatches(
        data.train,
        batch_size=recipe.batch_size,
        seed=seed,
        device=device,
        shift_px=recipe.shift_px,
        flip=recipe.flip,
        cutout_px=recipe.cutout_px,
    )
    num_steps = max(1, round(recipe.epochs * batches.steps_per_epoch))
    if recipe.start_from:
        network, normalization = _start_from(Path(recipe.start_from), recipe, data)
    else:
        network = build_network(recipe, data.shape, len(data.labels))
        normalization = _initialize(network, recipe, data)
    if recipe.recompute:
        assert isinstance(network, VisionTransformer)
        recompute_activations(network.layers)
    share_batch_norms(network)
    network = place(network, device)
    normalization = normalization.to(device)
    privacy = None
    if recipe.privacy_epsilon:
        privacy = _make_private(network, recipe, data, num_steps)
        batches.draw_rows = privacy.draw_rows
    rounded = None
    if recipe.quantize_aware:
        rounded = RoundedNetwork(network, normalization(batches.at(0)[0]))
    precision: Precision = "fp32" if recipe.quantize_aware or privacy else recipe.precision
    schedule = make_schedule(recipe.schedule, num_steps=num_steps, warmup_fraction=recipe.warmup_fraction)
    task = ClassifierTask(
        network=network,
        normalization=normalization,
        batches=batches,
        validation=data.validation,
        updater=Updater(_make_optimizers(network, recipe), schedule, clip_norm=recipe.clip_norm, privacy=privacy),
        device=device,
        precision=precision,
        label_smoothing=recipe.label_smoothing,
        mixup_alpha=recipe.mixup_alpha,
        cutmix_alpha=recipe.cutmix_alpha,
        average_decay=recipe.average_decay,
        accumulation=recipe.accumulation,
        teacher=_find_teacher(recipe, data, device, precision),
        rounded=rounded,
    )
    return task, num_steps


def _check_divisible(recipe: Recipe) -> None:
    if recipe.batch_size < num_processes():
        raise ValueError(f"batch_size={recipe.batch_size} gives not one image to each of {num_processes()} processes")
    if recipe.quantize_aware and num_processes() > 1:
        raise ValueError("quantize_aware observes the ranges of whole batches; train with one process")
    if recipe.privacy_epsilon and num_processes() > 1:
        raise ValueError("privacy_epsilon clips and accounts for whole batches; train with one process")


def _make_private(network: nn.Module, recipe: Recipe, data: ImageData, num_steps: int) -> PrivateGradients:
    terms = PrivacyTerms(epsilon=recipe.privacy_epsilon, delta=recipe.privacy_delta, clip_norm=recipe.clip_norm)
    num_rows = len(data.train)
    try:
        return PrivateGradients(network, terms, num_rows=num_rows, batch_size=recipe.batch_size, num_steps=num_steps)
    except ValueError as error:
        raise ValueError(f"network {recipe.network} with privacy_epsilon: {error}; tempered is made for it") from None


def _start_from(run: Path, recipe: Recipe, data: ImageData) -> tuple[nn.Module, Normalization]:
    """Take a finished run's network, without the channels that the recipe has pruned.

    Raises:
        FileNotFoundError: there is no such run, or it did not finish.
        ValueError: it has another network, other images or other classes.
    """
    network, normalization, earlier, stored = restore_network(run)
    check_same_task(run, stored, data)
    if earlier.network != recipe.network:
        raise ValueError(f"start_from={run} has network {earlier.network}; set network={earlier.network}")
    if recipe.pruned_fraction:
        images, labels = data.train.images[:_PRUNING_IMAGES], data.train.labels[:_PRUNING_IMAGES]
        pixels = normalization(images)
        loss = nn.functional.cross_entropy(network.eval()(pixels), labels)
        last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
        kept = _list_others(network, recipe.pruned_layers) if recipe.pruned_layers else []
        prune_channels(network, recipe.pruned_fraction, pixels[:2], loss, keep=[last, *kept])
    return network, normalization


def _list_others(network: nn.Module, parts: Sequence[str]) -> list[nn.Module]:
    """Layers that are in none of the named parts.

    Raises:
        ValueError: the network has no such part.
    """
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    chosen = set()
    for part in parts:
        found = {name for name in layers if name == part or name.startswith(f"{part}.")}
        if not found:
            raise ValueError(f"pruned_layers: the network has no layer in {part!r}; it has {', '.join(layers)}")
        chosen |= found
    return [layer for name, layer in layers.items() if name not in chosen]


def _find_teacher(recipe: Recipe, data: ImageData, device: torch.device, precision: Precision) -> Teacher | None:
    if recipe.teacher is None:
        return None
    network, normalization, _, stored = restore_network(Path(recipe.teacher))
    check_same_task(Path(recipe.teacher), stored, data)
    program = place(Program(normalization, network, test_flip=False).requires_grad_(False), device)

    def answer(images: Tensor) -> Tensor:
        with autocast(device, precision):
            return program.logits(images)

    compare = compare_labels(recipe.teacher_temperature, hard=recipe.teacher_answers == "hard")
    return Teacher(answer, compare, recipe.teacher_weight)


def _initialize(network: nn.Module, recipe: Recipe, data: ImageData) -> Normalization:
    """Give the network what it takes from data or from a file before training; return its pixel normalization.

    Where training is private these are not the images that it protects.
    """
    if isinstance(network, PretrainedNetwork):
        if recipe.weights_file:
            network.load_weights(Path(recipe.weights_file))
        return network.normalization
    images = (data.validation if recipe.privacy_epsilon else data.train).images
    normalization = Normalization.of(images)
    if isinstance(network, CompactNetwork):
        network.initialize_from(normalization(images[:5000]))
    return normalization


def _make_optimizers(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    if isinstance(network, CompactNetwork):
        return network.make_optimizers(
            filter_lr=recipe.lr, batch_size=recipe.batch_size, weight_decay=recipe.weight_decay
        )
    if isinstance(network, VisionTransformer):
        return divide_parameters(
            network,
            network.list_matrices(),
            matrix_lr=recipe.matrix_lr,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
        )
    return [torch.optim.SGD(make_parameter_groups(network, recipe), momentum=recipe.momentum, nesterov=True)]


def make_parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict]:
    """Weights decay, biases and normalization do not; rates fall by `layer_decay` from each layer to the one below."""
    layers = [list(network.parameters())]
    if isinstance(network, PretrainedNetwork):
        layers = network.list_layers()
    groups = []
    for depth, layer in enumerate(reversed(layers)):
        lr = recipe.lr * recipe.layer_decay**depth
        weights = [parameter for parameter in layer if parameter.dim() > 1]
        others = [parameter for parameter in layer if parameter.dim() <= 1]
        groups.append({"params": weights, "lr": lr, "weight_decay": recipe.weight_decay})
        groups.append({"params": others, "lr": lr, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def finish_classifier(
    run: Path, recipe: Recipe, data: ImageData, task: ClassifierTask, device: torch.device, *, pictures: bool
) -> dict:
    """Calibrate on validation data, measure on test data, and store network, figures and pictures."""
    program = Program(task.normalization, task.best_network, test_flip=recipe.test_flip)
    temperature = fit_temperature(predict_logits(program, data.validation.images, device), data.validation.labels)
    save_atomically(
        {
            "network": task.best_network.state_dict(),
            "normalization": task.normalization.state_dict(),
            "temperature": temperature,
            "shape": data.shape,
            "labels": data.labels,
        },
        run / NETWORK,
    )
    logits = predict_logits(program, data.test.images, device)
    seen = data.train.take(torch.arange(min(len(data.train), len(data.test))))
    membership = measure_membership(predict_logits(program, seen.images, device), seen.labels, logits, data.test.labels)
    privacy = task.updater.privacy.describe() if task.updater.privacy else None
    return evaluate_run(run, logits, data, temperature, membership, privacy, pictures=pictures)
