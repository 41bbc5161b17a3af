"""A finished autoencoder run, as `release` wants it described.

Dimensions: N images, Z values of a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from training.autoencoder.corruption import corrupt
from training.autoencoder.data import CodedData, load_data
from training.autoencoder.network import Autoencoder, load_network
from training.autoencoder.program import Program
from training.autoencoder.recipe import Recipe
from training.autoencoder.scores import explained_share, score_images
from training.engine.device import place
from training.engine.runs import read_run, refuse_other_data
from training.engine.seeds import generator_for
from training.images.tensor import describe_image_inputs, describe_image_tensor, list_image_options, name_colours
from training.labels.unusual import describe_threshold
from training.release.spec import (
    Baseline,
    HeldOut,
    ProgramSpec,
    ReleaseSpec,
    TensorSpec,
    describe_row_program,
)

_CALIBRATION = 40
_MOST_LEVELS = 255


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out images and margin."""
    record = read_run(run)
    network, recipe, stored = load_network(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    refuse_other_data(run, {"labels": data.images.labels, "shape": data.images.shape}, stored)
    height, width, _ = data.images.shape
    colours = name_colours(data.images.shape)
    return ReleaseSpec(
        kind="autoencoder",
        description=f"{_name_kind(recipe)} autoencoder for {data.images.name}: {colours} images of {height}×{width} "
        f"and back by way of {recipe.code_size} values",
        programs={"main": _describe_program(network, data, recipe, device)},
        inputs=describe_image_inputs(data.images.shape),
        input_sets=(("image",), ("encoded",)),
        outputs=_describe_outputs(data, recipe),
        parameters=(
            describe_threshold(
                stored["threshold"], recipe.usual_share, row="an image", unit="grey levels", maximum=_MOST_LEVELS
            ),
        ),
        handler_options={"threshold": stored["threshold"]} | list_image_options(data.images.shape),
        held_out=_describe_held_out(data),
        margin=recipe.margin,
        examples={"image": data.seen_test[: recipe.num_examples].numpy()},
        max_rows=recipe.max_rows,
        usage="a.png b.jpg --out images",
        seed=record["seed"],
        run=run,
    )


def _name_kind(recipe: Recipe) -> str:
    parts = []
    if recipe.corruption_level:
        parts.append("denoising")
    if recipe.sparsity_weight:
        parts.append("sparse")
    if recipe.beta:
        parts.append("variational")
    return " ".join(parts) or "plain"


def _describe_outputs(data: CodedData, recipe: Recipe) -> tuple[TensorSpec, ...]:
    image = describe_image_tensor(data.images.shape)
    return (
        replace(image, name="reconstruction", meaning=f"{image.meaning}: what the code tells of the one that came"),
        TensorSpec(
            name="code",
            datatype="FP32",
            shape=(-1, recipe.code_size),
            meaning="the image in so many values" + (", most of them 0" if recipe.sparsity_weight else ""),
        ),
        TensorSpec(
            name="deviation",
            datatype="FP32",
            shape=(-1,),
            meaning="root mean square of what the reconstruction differs by: the less usual an image, the more",
            unit="grey levels of 255",
            minimum=0,
            maximum=_MOST_LEVELS,
        ),
        TensorSpec(name="unusual", datatype="BOOL", shape=(-1,), meaning="whether the deviation exceeds the threshold"),
    )


def _describe_held_out(data: CodedData) -> HeldOut:
    truth, mean = data.images.test.images.numpy(), data.images.train.images.float().mean(0).numpy()

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return score_images(outputs["reconstruction"], truth, mean)

    return HeldOut(
        inputs={"image": data.seen_test.numpy()},
        score=score,
        aggregate=explained_share,
        metric="share of the squared distance from the mean image that comes back",
        dataset=f"{data.images.name} test",
        baseline=Baseline(
            name="the mean of the training images",
            scores=score({"reconstruction": np.broadcast_to(mean.round().astype(np.uint8), truth.shape)}),
        ),
    )


def _describe_program(network: Autoencoder, data: CodedData, recipe: Recipe, device: str) -> ProgramSpec:
    random = generator_for(0, _CALIBRATION)
    chosen = torch.randperm(len(data.images.train), generator=random)[: recipe.num_calibration]
    rows = corrupt(data.images.train.images[chosen], recipe, random)
    program = place(Program(network), torch.device(device))
    return describe_row_program(program, rows, max_rows=recipe.max_rows, device=device)
