"""A finished classifier run, as `release` wants it described."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from training.classifier.data import load_data
from training.classifier.program import Program
from training.classifier.recipe import Recipe
from training.classifier.restore import restore_network
from training.engine.device import place
from training.engine.runs import find_finished, read_run, refuse_other_data
from training.images.splits import ImageData
from training.images.tensor import describe_image_inputs, list_image_options
from training.labels.servable import Noun, describe_ranking, guess_majority, score_labels
from training.release.spec import HeldOut, ProgramSpec, ReleaseSpec, describe_row_program

_NOUN = Noun("class", "classes")


def load_program(run: Path) -> tuple[Program, Recipe, dict]:
    """Rebuild the released form of a run's network; also return its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    network, normalization, recipe, stored = restore_network(run)
    program = Program(normalization, network, test_flip=recipe.test_flip, temperature=stored["temperature"])
    return program.requires_grad_(False), recipe, stored


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out rows and margin."""
    record = read_run(run)
    program, recipe, stored = load_program(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    refuse_other_data(run, {"labels": data.labels, "shape": data.shape}, stored)
    outputs, top_k = describe_ranking(len(data.labels), _NOUN)
    return ReleaseSpec(
        kind="classifier",
        description=f"{recipe.network} for {data.name}: {len(data.labels)} classes, {_shape_text(data)} images",
        programs={"main": _describe_program(program, data, recipe, device)},
        inputs=describe_image_inputs(data.shape),
        input_sets=(("image",), ("encoded",)),
        outputs=outputs,
        parameters=(top_k,),
        handler_options={"labels": list(data.labels)} | list_image_options(data.shape),
        held_out=HeldOut(
            inputs={"image": data.test.images.numpy()},
            score=score_labels(data.test.labels.numpy()),
            metric="accuracy",
            dataset=f"{data.name} test",
            binary=True,
            baseline=guess_majority(data.train.labels.numpy(), data.test.labels.numpy(), _NOUN),
        ),
        margin=recipe.margin,
        examples={"image": data.test.images[: recipe.num_examples].numpy()},
        max_rows=recipe.max_rows,
        seed=record["seed"],
        run=run,
        parent=find_finished(recipe.teacher or recipe.start_from),
    )


def _describe_program(program: nn.Module, data: ImageData, recipe: Recipe, device: str) -> ProgramSpec:
    program = place(program, torch.device(device))
    calibration = data.validation if recipe.privacy_epsilon else data.train  # ranges are of single images
    rows = calibration.images[: recipe.num_calibration]
    return describe_row_program(
        program,
        rows,
        max_rows=recipe.max_rows,
        device=device,
        quantization="dynamic" if recipe.network in ("vit", "deit") else "static",
    )


def _shape_text(data: ImageData) -> str:
    return "×".join(map(str, data.shape))
