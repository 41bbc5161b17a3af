"""A finished anomaly detector run, as `release` wants it described."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from training.anomaly_detector.baselines import deviate_from_components
from training.anomaly_detector.data import UsualData, load_data
from training.anomaly_detector.network import SignalAutoencoder, count_code, load_network
from training.anomaly_detector.program import Program
from training.anomaly_detector.recipe import Recipe
from training.engine.runs import read_run, refuse_other_data
from training.engine.seeds import generator_for
from training.labels.unusual import area_under_curve, describe_threshold
from training.release.spec import Baseline, HeldOut, ProgramSpec, ReleaseSpec, TensorSpec, describe_row_program

_CALIBRATION_SEED = 20_261_127
_UNIT = "standard deviations of the signal"


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out signals and margin.

    Raises:
        ValueError: the run's data has changed.
    """
    record = read_run(run)
    network, recipe, stored = load_network(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    refuse_other_data(run, {"labels": data.labels, "shape": (data.num_samples,)}, stored)
    return ReleaseSpec(
        kind="anomaly_detector",
        description=f"detector of {data.name} signals that are not {data.usual}, by way of "
        f"{count_code(recipe, data.num_samples)} values",
        programs={"main": _describe_program(network, data, recipe, device)},
        inputs=(
            TensorSpec(
                name="signal",
                datatype="FP32",
                shape=(-1, data.num_samples),
                meaning=f"samples of a signal of any gain and offset, {recipe.rate_hz:g} a second; NaN: missing",
                finite=False,
            ),
        ),
        input_sets=(("signal",),),
        outputs=_describe_outputs(data),
        parameters=(describe_threshold(stored["threshold"], recipe.usual_share, row="a signal", unit=_UNIT),),
        handler_options={"threshold": stored["threshold"]},
        held_out=_describe_held_out(data, recipe),
        margin=recipe.margin,
        examples={"signal": data.test.values[: recipe.num_examples].numpy()},
        max_rows=recipe.max_rows,
        usage="signals.csv",
        seed=record["seed"],
        run=run,
    )


def _describe_outputs(data: UsualData) -> tuple[TensorSpec, ...]:
    return (
        TensorSpec(
            name="reconstruction",
            datatype="FP32",
            shape=(-1, data.num_samples),
            meaning="what the code tells of the signal, in its own unit",
        ),
        TensorSpec(
            name="deviation",
            datatype="FP32",
            shape=(-1,),
            meaning="root mean square of what the reconstruction differs by: the less usual a signal, the more",
            unit=_UNIT,
            minimum=0,
        ),
        TensorSpec(name="unusual", datatype="BOOL", shape=(-1,), meaning="whether the deviation exceeds the threshold"),
    )


def _describe_held_out(data: UsualData, recipe: Recipe) -> HeldOut:
    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.column_stack([outputs["deviation"], data.is_unusual])

    num_values = count_code(recipe, data.num_samples)
    components = deviate_from_components(data.train, data.test.values, num_values)
    return HeldOut(
        inputs={"signal": data.test.values.numpy()},
        score=score,
        aggregate=area_under_curve,
        metric="area under the curve of unusual over usual signals",
        dataset=f"{data.name} test",
        baseline=Baseline(name="as many principal components", scores=score({"deviation": components})),
    )


def _describe_program(network: SignalAutoencoder, data: UsualData, recipe: Recipe, device: str) -> ProgramSpec:
    chosen = torch.randperm(len(data.train), generator=generator_for(_CALIBRATION_SEED))[: recipe.num_calibration]
    program = Program(network).to(device)
    return describe_row_program(program, data.train[chosen], max_rows=recipe.max_rows, device=device)
