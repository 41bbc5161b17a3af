"""A finished segmenter run, as `release` wants it described.

Dimensions: N images, K classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from training.engine.device import place
from training.engine.runs import find_finished, read_run, refuse_other_data
from training.images.tensor import describe_image_inputs, list_image_options, name_colours
from training.labels.servable import Noun, describe_ranking, score_labels
from training.release.spec import (
    Baseline,
    HeldOut,
    ParameterSpec,
    ProgramSpec,
    ReleaseSpec,
    TensorSpec,
    describe_row_program,
)
from training.segmenter.data import SceneData, draw_calibration, load_data
from training.segmenter.network import Segmenter, load_network
from training.segmenter.program import Program
from training.segmenter.recipe import Recipe
from training.segmenter.scenes import label_masks
from training.segmenter.scores import count_pixels, mean_iou


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out scenes and margin.

    Raises:
        ValueError: the run makes no masks, or its data is another by now.
    """
    record = read_run(run)
    network, recipe, stored = load_network(run)
    if recipe.tasks == "label":
        raise ValueError(f"{run} learned the label alone: only segmenters that make masks are released")
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    refuse_other_data(run, {"classes": data.classes, "shape": data.shape}, stored)
    outputs, parameters = describe_outputs(data, has_label=recipe.tasks == "both")
    height, width, _ = data.shape
    return ReleaseSpec(
        kind="segmenter",
        description=f"U-Net for {data.name}: {len(data.classes)} classes, "
        f"{name_colours(data.shape)} images of {height}×{width}",
        programs={"main": _describe_program(network, data, recipe, device)},
        inputs=describe_image_inputs(data.shape),
        input_sets=(("image",), ("encoded",)),
        outputs=outputs,
        parameters=parameters,
        handler_options={"labels": list(data.classes)} | list_image_options(data.shape),
        held_out=_describe_held_out(data, has_label=recipe.tasks == "both"),
        margin=recipe.margin,
        examples={"image": data.test.images[: recipe.num_examples].numpy()},
        max_rows=recipe.max_rows,
        usage="a.png b.jpg --out masks",
        seed=record["seed"],
        run=run,
        parent=find_finished(recipe.start_from),
    )


def describe_outputs(data: SceneData, *, has_label: bool) -> tuple[tuple[TensorSpec, ...], tuple[ParameterSpec, ...]]:
    """Describe outputs and parameters; those of a whole image's class only where it is learned."""
    height, width, _ = data.shape
    num_classes = len(data.classes)
    numbered = ", ".join(f"{number} {name}" for number, name in enumerate(data.classes))
    outputs = (
        TensorSpec(
            name="mask",
            datatype="UINT8",
            shape=(-1, height, width),
            meaning=f"class of each pixel: {numbered}",
            minimum=0,
            maximum=num_classes - 1,
        ),
        TensorSpec(
            name="area",
            datatype="FP32",
            shape=(-1, num_classes),
            meaning="share of the image that each class covers, in the order of their numbers",
            minimum=0,
            maximum=1,
        ),
        TensorSpec(name="class", datatype="BYTES", shape=(-1, num_classes), meaning="name of each class, beside area"),
    )
    if not has_label:
        return outputs, ()
    ranking, top_k = describe_ranking(num_classes, Noun("class of the whole image", "classes of the whole image"))
    return (*ranking, *outputs), (top_k,)


def score_scenes(data: SceneData, *, has_label: bool) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Score each image by its counts of pixels, [N, 3 K], and whether its label is right, 1 or 0, behind them."""
    truth, num_classes = data.test.masks, len(data.classes)
    score_label = score_labels(label_masks(truth, num_classes).numpy())

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        counts = count_pixels(outputs["mask"], truth.numpy(), num_classes).reshape(len(truth), -1)
        return np.column_stack([counts, score_label(outputs)]) if has_label else counts

    return score


def _guess_most_frequent(data: SceneData) -> dict[str, np.ndarray]:
    """One answer to all test scenes: the most frequent class of a pixel, and of an image, among validating ones."""
    masks, num_classes = data.validation.masks, len(data.classes)
    label = int(label_masks(masks, num_classes).bincount().argmax())
    return {
        "mask": np.full(data.test.masks.shape, int(masks.flatten().bincount().argmax()), np.uint8),
        "probabilities": np.eye(num_classes)[[label] * len(data.test.masks)],
    }


def _describe_held_out(data: SceneData, *, has_label: bool) -> HeldOut:
    num_classes = len(data.classes)

    def aggregate(scores: np.ndarray) -> float:
        iou = mean_iou(scores[:, : 3 * num_classes].reshape(len(scores), num_classes, 3))
        return (iou + float(scores[:, -1].mean())) / 2 if has_label else iou

    score = score_scenes(data, has_label=has_label)
    return HeldOut(
        inputs={"image": data.test.images.numpy()},
        score=score,
        baseline=Baseline(name="the most frequent class everywhere", scores=score(_guess_most_frequent(data))),
        metric="mean IoU and accuracy, averaged" if has_label else "mean IoU",
        dataset=f"{data.name} test",
        aggregate=aggregate,
    )


def _describe_program(network: Segmenter, data: SceneData, recipe: Recipe, device: str) -> ProgramSpec:
    rows = draw_calibration(data, recipe.num_calibration)
    program = place(Program(network), torch.device(device))
    return describe_row_program(program, rows, max_rows=recipe.max_rows, device=device)
