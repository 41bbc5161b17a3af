"""A finished generator run, as `release` wants it described.

Dimensions: N rows, Z latent values.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model_store.latents import MIN_TRUNCATION
from training.engine.device import place
from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.engine.seeds import generator_for
from training.gan.data import load_data
from training.gan.dcgan import Generator
from training.gan.distances import FrechetReference, Projection
from training.gan.features import FeatureNetwork
from training.gan.judge import locate_judge, open_judge
from training.gan.network import build_generator
from training.gan.program import Program, draw_images
from training.gan.recipe import RETIRED, Recipe
from training.images.splits import ImageData
from training.images.tensor import describe_image_tensor
from training.release.spec import Baseline, HeldOut, ParameterSpec, ProgramSpec, ReleaseSpec, TensorSpec

_CALIBRATION, _EXPECTED, _SHUFFLED = 40, 41, 42
_FIRST_SEED = 1_000_000


def load_generator(run: Path) -> tuple[Generator, Recipe, dict]:
    """Rebuild a run's generator; also return its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe = from_record(Recipe, read_run(run)["recipe"], retired=RETIRED)
    stored = read_network(run)
    generator = build_generator(recipe, tuple(stored["shape"]), len(stored["labels"]))
    generator.load_state_dict(stored["generator"])
    return generator.eval().requires_grad_(False), recipe, stored


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out seeds and margin."""
    record = read_run(run)
    generator, recipe, stored = load_generator(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    if list(data.labels) != list(stored["labels"]) or list(data.shape) != list(stored["shape"]):
        raise ValueError(f"{run} was trained on other data than {record['data']} under {record['data_root']} holds now")
    judge = open_judge(locate_judge(recipe, run), data, torch.device(device))
    held_out, margin = _describe_quality(generator, recipe, data, judge)
    labels = list(data.labels) if recipe.conditional else []
    return ReleaseSpec(
        kind="gan",
        description=_describe_kind(recipe, data),
        programs={"main": _describe_program(generator, recipe, device)},
        inputs=_describe_inputs(recipe, labels),
        input_sets=_input_sets(labels),
        outputs=_describe_outputs(data),
        default_outputs=("image",),
        parameters=(
            ParameterSpec(
                name="truncation",
                kind="double",
                meaning="bounds what a seed draws to ± this: smaller is more typical, less varied; unlimited if absent",
                minimum=MIN_TRUNCATION,
            ),
        ),
        handler_options={"labels": labels, "latent_size": recipe.latent_size},
        held_out=held_out,
        margin=margin,
        examples={name: array[: recipe.num_examples] for name, array in held_out.inputs.items()},
        max_rows=recipe.max_rows,
        usage=f"--n 16{_label_option(labels)} --grid images.png",
        seed=record["seed"],
        run=run,
    )


def _describe_quality(
    generator: Generator, recipe: Recipe, data: ImageData, judge: FeatureNetwork
) -> tuple[HeldOut, float]:
    """Make held-out seeds with their score, and the margin: a share of the distance that is to be expected."""
    count = recipe.num_held_out
    labels = torch.arange(count) % len(data.labels)
    inputs = {"seed": np.arange(_FIRST_SEED, _FIRST_SEED + count, dtype=np.int64)}
    if recipe.conditional:
        inputs["label"] = labels.numpy()
    real = judge.describe(data.test.images).features
    project = Projection(real, recipe.num_components)
    reference = FrechetReference(project(real))

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return project(judge.describe(torch.from_numpy(np.ascontiguousarray(outputs["image"]))).features)

    def aggregate(scores: np.ndarray) -> float:
        return -reference.distance(scores)

    latents = torch.randn(count, recipe.latent_size, generator=generator_for(0, _EXPECTED))
    drawn = draw_images(generator.to(judge.device), latents, labels if recipe.conditional else None, judge.device)
    margin = recipe.margin_share * -aggregate(score({"image": drawn.numpy()}))
    held_out = HeldOut(
        inputs=inputs,
        score=score,
        aggregate=aggregate,
        metric=f"minus the Fréchet distance (classifier features, {project.axes.shape[1]} components)",
        dataset=f"{data.name} test, {count} seeds",
        baseline=Baseline(
            name="images whose pixels are drawn each by itself", scores=score({"image": _shuffle(data, count)})
        ),
    )
    return held_out, margin


def _shuffle(data: ImageData, count: int) -> np.ndarray:
    """Images uint8 [count, H, W, C], each pixel that of a training image of its own."""
    height, width, channels = data.shape
    pixels = data.train.images.reshape(-1, height * width, channels)
    sources = torch.randint(len(pixels), (count, height * width), generator=generator_for(0, _SHUFFLED))
    return pixels[sources, torch.arange(height * width)].reshape(count, *data.shape).numpy()


def _describe_program(generator: Generator, recipe: Recipe, device: str) -> ProgramSpec:
    program: nn.Module = Program(generator)
    place(program, torch.device(device))

    def rows(count: int) -> tuple[Tensor, ...]:
        random = generator_for(0, _CALIBRATION)
        latents = torch.randn(count, recipe.latent_size, generator=random).to(device)
        if not generator.num_classes:
            return (latents,)
        return latents, torch.randint(generator.num_classes, (count,), generator=random).to(device)

    def calibration() -> Iterable[tuple[Tensor, ...]]:
        pieces = [tensor.split(32) for tensor in rows(256)]
        return zip(*pieces, strict=True)

    dimension = torch.export.Dim("rows", min=1, max=recipe.max_rows)
    return ProgramSpec(
        module=program,
        example_inputs=rows(4),
        dynamic_shapes=tuple({0: dimension} for _ in rows(4)),
        calibration=calibration,
    )


def _label_option(labels: list[str]) -> str:
    return f" --label {shlex.quote(labels[-1])}" if labels else ""


def _input_sets(labels: list[str]) -> tuple[tuple[str, ...], ...]:
    if not labels:
        return ("seed",), ("latent",)
    by_seed = ("seed",), ("seed", "label"), ("seed", "label_name")
    return (*by_seed, ("latent", "label"), ("latent", "label_name"), ("latent", "seed"))


def _describe_inputs(recipe: Recipe, labels: list[str]) -> tuple[TensorSpec, ...]:
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
            shape=(-1, recipe.latent_size),
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


def _describe_outputs(data: ImageData) -> tuple[TensorSpec, ...]:
    return (
        describe_image_tensor(data.shape),
        TensorSpec(name="encoded", datatype="BYTES", shape=(-1,), meaning="the image as a PNG file; on request"),
    )


def _describe_kind(recipe: Recipe, data: ImageData) -> str:
    kind = f"{recipe.loss} adversarial" if recipe.method == "adversarial" else "variational"
    classes = f", {len(data.labels)} classes" if recipe.conditional else ""
    return f"{kind} generator for {data.name}{classes}, {'×'.join(map(str, data.shape))} images"
