"""A finished diffusion run, as `release` wants it described.

Dimensions: N rows, Z values of an image.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from model_store.denoising import Sampler
from training.diffusion.data import load_data
from training.diffusion.network import Network, build_network
from training.diffusion.objective import draw_log_snr
from training.diffusion.program import Program, make_drawing, mix
from training.diffusion.recipe import Recipe
from training.engine.device import place
from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run, refuse_other_data
from training.engine.seeds import generator_for
from training.images.judge import locate_judge, open_judge
from training.images.pixels import scale_images
from training.images.servable import (
    DEFAULT_OUTPUTS,
    TRUNCATION,
    describe_inputs,
    describe_outputs,
    describe_quality,
    hint_usage,
    list_input_sets,
)
from training.images.splits import ImageData
from training.release.spec import ParameterSpec, ProgramSpec, ReleaseSpec

_CALIBRATION = 40
_MOST_STEPS, _MOST_GUIDANCE = 100, 10


def load_trained(run: Path) -> tuple[Network, Recipe, ImageData]:
    """Rebuild a finished run's network; also return its recipe and its data.

    Raises:
        FileNotFoundError: the run did not finish.
        ValueError: the data set is not the one that the run was trained on.
    """
    record = read_run(run)
    recipe = from_record(Recipe, record["recipe"])
    stored = read_network(run)
    network = build_network(recipe, tuple(stored["shape"]), len(stored["labels"]))
    network.load_state_dict(stored["network"])
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    refuse_other_data(run, {"labels": data.labels, "shape": data.shape}, stored)
    return network.eval().requires_grad_(False), recipe, data


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out seeds and margin."""
    network, recipe, data = load_trained(run)
    place(network, torch.device(device))
    judge = open_judge(locate_judge(recipe, run), data, torch.device(device))
    held_out, margin = describe_quality(
        make_drawing(network, recipe, judge.device),
        data,
        judge,
        count=recipe.num_held_out,
        num_components=recipe.num_components,
        margin_share=recipe.margin_share,
    )
    labels = list(data.labels)
    return ReleaseSpec(
        kind="diffusion",
        description=f"diffusion model for {data.name}, {len(labels)} classes, {'×'.join(map(str, data.shape))} images",
        programs={"main": _describe_program(network, recipe, data, device)},
        inputs=describe_inputs(prod(data.shape), labels),
        input_sets=list_input_sets(labels),
        outputs=describe_outputs(data.shape),
        default_outputs=DEFAULT_OUTPUTS,
        parameters=(*_describe_parameters(recipe), TRUNCATION),
        handler_options={
            "labels": labels,
            "latent_size": prod(data.shape),
            "shape": list(data.shape),
            "noise_schedule": recipe.noise_schedule,
            "steps": recipe.steps,
            "guidance": recipe.guidance,
            "sampler": recipe.sampler,
        },
        held_out=held_out,
        margin=margin,
        examples={name: array[: recipe.num_examples] for name, array in held_out.inputs.items()},
        max_rows=recipe.max_rows,
        stops=True,
        usage=hint_usage(labels),
        seed=read_run(run)["seed"],
        run=run,
    )


def _describe_parameters(recipe: Recipe) -> tuple[ParameterSpec, ...]:
    return (
        ParameterSpec(
            name="steps",
            kind="int64",
            meaning=f"steps from noise to image, time grows with them; {recipe.steps} if absent",
            minimum=1,
            maximum=_MOST_STEPS,
        ),
        ParameterSpec(
            name="guidance",
            kind="double",
            meaning="how far towards its class an image is drawn; every other than 1 takes twice the time; "
            f"{recipe.guidance:g} if absent",
            minimum=0,
            maximum=_MOST_GUIDANCE,
        ),
        ParameterSpec(
            name="sampler",
            kind="string",
            meaning=f"the way from noise to image; {recipe.sampler} if absent",
            choices=get_args(Sampler),
        ),
    )


def _describe_program(network: Network, recipe: Recipe, data: ImageData, device: str) -> ProgramSpec:
    def rows(count: int) -> tuple[Tensor, ...]:
        random = generator_for(0, _CALIBRATION)
        images = scale_images(data.train.images[torch.randint(len(data.train), (count,), generator=random)])
        log_snr = draw_log_snr(recipe.noise_schedule, count, random)[torch.randperm(count, generator=random)]
        noisy, _ = mix(images, torch.randn(images.shape, generator=random), log_snr)
        labels = torch.randint(network.num_classes + 1, (count,), generator=random)
        return tuple(value.to(device) for value in (noisy.flatten(1), log_snr, labels))

    def calibration() -> Iterable[tuple[Tensor, ...]]:
        return zip(*(tensor.split(32) for tensor in rows(256)), strict=True)

    # Guidance asks for each row twice.
    dimension = torch.export.Dim("rows", min=1, max=2 * recipe.max_rows)
    return ProgramSpec(
        module=Program(network),
        example_inputs=rows(4),
        dynamic_shapes=tuple({0: dimension} for _ in range(3)),
        calibration=calibration,
    )
