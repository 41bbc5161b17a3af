"""What kinds that draw images share of what `release` is told: tensors of seeds, latents, labels and images; the gate.

Dimensions: N rows, Z latent values.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from model_store.latents import MIN_TRUNCATION
from training.engine.seeds import generator_for
from training.images.distances import FrechetReference, Projection
from training.images.drawing import Drawing
from training.images.features import FeatureNetwork
from training.images.splits import ImageData
from training.images.tensor import Shape, describe_image_tensor
from training.release.spec import Baseline, HeldOut, ParameterSpec, TensorSpec

DEFAULT_OUTPUTS = ("image",)
TRUNCATION = ParameterSpec(
    name="truncation",
    kind="double",
    meaning="bounds what a seed draws to ± this: smaller is more typical, less varied; unlimited if absent",
    minimum=MIN_TRUNCATION,
)
_EXPECTED, _SHUFFLED = 41, 42
_FIRST_SEED = 1_000_000


def describe_quality(
    drawing: Drawing, data: ImageData, judge: FeatureNetwork, *, count: int, num_components: int, margin_share: float
) -> tuple[HeldOut, float]:
    """Make held-out seeds with their score, and the margin: a share of the distance that is to be expected."""
    labels = torch.arange(count) % len(data.labels)
    inputs = {"seed": np.arange(_FIRST_SEED, _FIRST_SEED + count, dtype=np.int64)}
    if drawing.conditional:
        inputs["label"] = labels.numpy()
    score, aggregate, metric = score_by_distance(data.test.images, judge, num_components)
    latents = torch.randn(count, drawing.latent_size, generator=generator_for(0, _EXPECTED))
    margin = margin_share * -aggregate(score({"image": drawing(latents, labels).numpy()}))
    held_out = HeldOut(
        inputs=inputs,
        score=score,
        aggregate=aggregate,
        metric=metric,
        dataset=f"{data.name} test, {count} seeds",
        baseline=Baseline(
            name="images whose pixels are drawn each by itself", scores=score({"image": _shuffle(data, count)})
        ),
    )
    return held_out, margin


def score_by_distance(
    real_NHWC: Tensor, eyes: FeatureNetwork, num_components: int
) -> tuple[Callable[[Mapping[str, np.ndarray]], np.ndarray], Callable[[np.ndarray], float], str]:
    """Score, aggregate and metric of a gate that asks how far the output `image` is from real images.

    Distances are on leading principal components of what `eyes` see, where a bootstrap is affordable.
    """
    real = eyes.describe(real_NHWC).features
    project = Projection(real, num_components)
    reference = FrechetReference(project(real))

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return project(eyes.describe(torch.from_numpy(np.ascontiguousarray(outputs["image"]))).features)

    def aggregate(scores: np.ndarray) -> float:
        return -reference.distance(scores)

    metric = f"minus the Fréchet distance (classifier features, {project.axes.shape[1]} components)"
    return score, aggregate, metric


def _shuffle(data: ImageData, count: int) -> np.ndarray:
    """Images uint8 [count, H, W, C], each pixel that of a training image of its own."""
    height, width, channels = data.shape
    pixels = data.train.images.reshape(-1, height * width, channels)
    sources = torch.randint(len(pixels), (count, height * width), generator=generator_for(0, _SHUFFLED))
    return pixels[sources, torch.arange(height * width)].reshape(count, *data.shape).numpy()


def hint_usage(labels: Sequence[str]) -> str:
    """What a person types after `infer NAME`."""
    label = f" --label {shlex.quote(labels[-1])}" if labels else ""
    return f"--n 16{label} --grid images.png"


def list_input_sets(labels: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Which inputs may stand together in a request."""
    if not labels:
        return ("seed",), ("latent",)
    by_seed = ("seed",), ("seed", "label"), ("seed", "label_name")
    return (*by_seed, ("latent", "label"), ("latent", "label_name"), ("latent", "seed"))


def describe_inputs(latent_size: int, labels: Sequence[str]) -> tuple[TensorSpec, ...]:
    """Describe seeds and latents, and labels where there are classes."""
    inputs = [
        TensorSpec(
            name="seed",
            datatype="INT64",
            shape=(-1,),
            meaning="each image is a function of its own seed and label, whatever else is in the batch; "
            "beside a latent it draws the class alone",
        ),
        TensorSpec(
            name="latent",
            datatype="FP32",
            shape=(-1, latent_size),
            meaning="latent vectors instead of seeds; trained on N(0, 1)",
        ),
    ]
    if labels:
        inputs += [
            TensorSpec(
                name="label",
                datatype="INT64",
                shape=(-1,),
                meaning=f"number of the class to draw; drawn from the seed if absent: {', '.join(labels)}",
                minimum=0,
                maximum=len(labels) - 1,
            ),
            TensorSpec(
                name="label_name",
                datatype="BYTES",
                shape=(-1,),
                meaning="name of the class to draw, in any case",
                max_element_bytes=256,
            ),
        ]
    return tuple(inputs)


def describe_outputs(shape: Shape) -> tuple[TensorSpec, ...]:
    """Describe images of a shape [H, W, C], and the files made of them on request."""
    return (
        describe_image_tensor(shape),
        TensorSpec(name="encoded", datatype="BYTES", shape=(-1,), meaning="the image as a PNG file; on request"),
    )
