"""A finished run of an image translator, as `release` wants it described.

Dimensions: N images, H height, W width, C channels of sources, D channels of targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.engine.device import place
from training.engine.runs import read_run, refuse_other_data
from training.image_translator.baselines import copy_sources
from training.image_translator.data import draw_calibration, load_data
from training.image_translator.domains import TranslationData
from training.image_translator.judging import Jury, open_jury
from training.image_translator.network import Translator, load_network
from training.image_translator.program import Program, translate
from training.image_translator.recipe import Recipe
from training.image_translator.scores import absolute_errors
from training.images.servable import DEFAULT_OUTPUTS, describe_outputs, score_by_distance
from training.images.tensor import describe_image_inputs, list_image_options, name_colours
from training.release.spec import Baseline, HeldOut, ProgramSpec, ReleaseSpec, describe_row_program

_SAME = 0.01  # of the outputs' size, where nothing but agreement can be measured


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out images and margin.

    Raises:
        ValueError: the run's data is another by now.
    """
    record = read_run(run)
    network, recipe, stored = load_network(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    found = {"labels": data.labels, "source_shape": data.source_shape, "target_shape": data.target_shape}
    refuse_other_data(run, found, stored)
    jury = open_jury(recipe, data, run, torch.device(device))
    place(network, torch.device(device))
    held_out, margin = _describe_quality(network, data, jury, recipe)
    height, width, _ = data.source_shape
    colours = f"{name_colours(data.source_shape)} to {name_colours(data.target_shape)}"
    return ReleaseSpec(
        kind="image_translator",
        description=f"{_name_method(recipe)} for {data.name}, {colours}, images of {height}×{width}",
        programs={"main": _describe_program(network, data, recipe, device)},
        inputs=describe_image_inputs(data.source_shape),
        input_sets=(("image",), ("encoded",)),
        outputs=describe_outputs(data.target_shape),
        default_outputs=DEFAULT_OUTPUTS,
        handler_options={"labels": []} | list_image_options(data.source_shape),
        held_out=held_out,
        margin=margin,
        examples={"image": data.test.sources[: recipe.num_examples].numpy()},
        max_rows=recipe.max_rows,
        usage="a.png b.jpg --out translated",
        seed=record["seed"],
        run=run,
    )


def _name_method(recipe: Recipe) -> str:
    if recipe.method == "cycle":
        return "CycleGAN"
    return "Pix2Pix" if recipe.adversarial_weight else "U-Net on the absolute error"


def _describe_quality(network: Translator, data: TranslationData, jury: Jury, recipe: Recipe) -> tuple[HeldOut, float]:
    """By distance where somebody judges, else by the error of pairs, else by agreement with the first variant alone."""
    sources = data.test.sources
    copied = {"image": copy_sources(sources, data.target_shape[2]).numpy()}
    held_out = HeldOut(
        inputs={"image": sources.numpy()},
        score=None,
        metric="agreement with the reference",
        dataset=f"{data.name} test",
    )
    if jury.eyes is not None:
        score, aggregate, metric = score_by_distance(data.test.targets, jury.eyes, recipe.num_components)
        held_out = replace(held_out, score=score, aggregate=aggregate, metric=metric)
    elif data.test.paired:
        held_out = replace(held_out, score=_score_errors(data.test.targets), metric="minus the mean absolute error")
    if held_out.score is None:
        return held_out, _SAME
    expected = held_out.summarize(held_out.score({"image": translate(network, sources).numpy()}))
    baseline = Baseline(name="the source copied", scores=held_out.score(copied))
    return replace(held_out, baseline=baseline), recipe.margin_share * -expected


def _score_errors(truth: Tensor) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return -absolute_errors(torch.from_numpy(np.ascontiguousarray(outputs["image"])), truth)

    return score


def _describe_program(network: Translator, data: TranslationData, recipe: Recipe, device: str) -> ProgramSpec:
    rows = draw_calibration(data, recipe.num_calibration)
    return describe_row_program(Program(network), rows, max_rows=recipe.max_rows, device=device)
