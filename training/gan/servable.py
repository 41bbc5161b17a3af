"""A finished generator run, as `release` wants it described.

Dimensions: N rows, Z latent values.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from training.engine.device import place
from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run, refuse_other_data
from training.engine.seeds import generator_for
from training.gan.data import load_data
from training.gan.network import AnyGenerator, build_generator
from training.gan.program import Program, StyledProgram, make_drawing
from training.gan.recipe import RETIRED, Recipe
from training.gan.style import StyleGenerator
from training.images.judge import locate_judge, open_judge
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
CLOSENESS = ParameterSpec(
    name="closeness",
    kind="double",
    meaning="how much of the way from the mean style to its own each image goes: 1, if absent, all of it; less is more "
    "typical and less varied, 0 the same for all seeds of a class",
    minimum=0,
    maximum=1,
)


def load_generator(run: Path) -> tuple[AnyGenerator, Recipe, dict]:
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
    refuse_other_data(run, {"labels": data.labels, "shape": data.shape}, stored)
    judge = open_judge(locate_judge(recipe, run), data, torch.device(device))
    held_out, margin = describe_quality(
        make_drawing(generator.to(judge.device), judge.device),
        data,
        judge,
        count=recipe.num_held_out,
        num_components=recipe.num_components,
        margin_share=recipe.margin_share,
    )
    labels = list(data.labels) if recipe.conditional else []
    return ReleaseSpec(
        kind="gan",
        description=_describe_kind(recipe, data),
        programs={"main": _describe_program(generator, recipe, device)},
        inputs=describe_inputs(recipe.latent_size, labels),
        input_sets=list_input_sets(labels),
        outputs=describe_outputs(data.shape),
        default_outputs=DEFAULT_OUTPUTS,
        parameters=(TRUNCATION, CLOSENESS) if recipe.generator == "style" else (TRUNCATION,),
        handler_options={
            "labels": labels,
            "latent_size": recipe.latent_size,
            "has_styles": recipe.generator == "style",
        },
        held_out=held_out,
        margin=margin,
        examples={name: array[: recipe.num_examples] for name, array in held_out.inputs.items()},
        max_rows=recipe.max_rows,
        usage=hint_usage(labels),
        seed=record["seed"],
        run=run,
    )


def _describe_program(generator: AnyGenerator, recipe: Recipe, device: str) -> ProgramSpec:
    has_styles = isinstance(generator, StyleGenerator)
    program: nn.Module = StyledProgram(generator) if isinstance(generator, StyleGenerator) else Program(generator)
    place(program, torch.device(device))

    def rows(count: int) -> tuple[Tensor, ...]:
        random = generator_for(0, _CALIBRATION)
        tensors = [torch.randn(count, recipe.latent_size, generator=random)]
        if has_styles:
            tensors.append(torch.rand(count, generator=random).sqrt())  # mostly near to 1, as requests are
        if generator.num_classes:
            tensors.append(torch.randint(generator.num_classes, (count,), generator=random))
        return tuple(tensor.to(device) for tensor in tensors)

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


def _describe_kind(recipe: Recipe, data: ImageData) -> str:
    drawing = "style-based " if recipe.generator == "style" else ""
    kind = f"{drawing}{recipe.loss} adversarial" if recipe.method == "adversarial" else "variational"
    classes = f", {len(data.labels)} classes" if recipe.conditional else ""
    return f"{kind} generator for {data.name}{classes}, {'×'.join(map(str, data.shape))} images"
