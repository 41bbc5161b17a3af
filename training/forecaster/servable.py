"""A finished forecaster run, as `release` wants it described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.engine.runs import find_finished, read_run
from training.engine.seeds import generator_for
from training.forecaster.baselines import forecast_seasonal_naive
from training.forecaster.data import SeriesData, load_data
from training.forecaster.network import Forecaster, load_network
from training.forecaster.recipe import Recipe, quantile_name
from training.forecaster.scores import saved_percent, score_steps
from training.release.spec import Baseline, HeldOut, ParameterSpec, ProgramSpec, ReleaseSpec, TensorSpec

_CALIBRATION_SEED = 20_190_604


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out windows and margin."""
    record = read_run(run)
    network, recipe = load_network(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    names = [quantile_name(level) for level in recipe.levels]
    return ReleaseSpec(
        kind="forecaster",
        description=f"{recipe.network} for {data.name} series, {recipe.horizon} steps ahead from {recipe.context}",
        programs={"main": _describe_program(network, data, recipe, device)},
        inputs=(
            TensorSpec(
                name="history",
                datatype="FP32",
                shape=(-1, recipe.context),
                meaning="the last values of a series, of any size and level, the newest last; NaN: missing",
                finite=False,
            ),
        ),
        input_sets=(("history",),),
        outputs=[
            _describe_output(name, level, recipe.horizon) for name, level in zip(names, recipe.levels, strict=True)
        ],
        parameters=(
            ParameterSpec(
                name="horizon",
                kind="int64",
                meaning=f"steps to forecast; {recipe.horizon} if absent",
                minimum=1,
                maximum=recipe.horizon,
            ),
        ),
        held_out=HeldOut(
            inputs={"history": data.test.history.numpy()},
            score=make_score(data, recipe.levels, names),
            baseline=_repeat_season(data, recipe.levels),
            metric="% of seasonal-naive's pinball loss saved",
            dataset=f"{data.name} test",
            aggregate=saved_percent,
        ),
        margin=recipe.margin,
        examples={"history": data.test.history[: recipe.num_examples].numpy()},
        max_rows=recipe.max_rows,
        usage="series.csv --out forecast.csv",
        seed=record["seed"],
        run=run,
        parent=find_finished(recipe.teacher),
    )


def make_score(
    data: SeriesData, levels: Sequence[float], names: Sequence[str]
) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Score each window by its scaled pinball loss beside seasonal-naive's, [N, 2]."""
    naive = _lose_by_season(data, levels)

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        quantiles = np.stack([outputs[name] for name in names], -1)
        losses = score_steps(quantiles, data.test, levels)["pinball"].mean(1)
        return np.stack([losses, naive], 1)

    return score


def _lose_by_season(data: SeriesData, levels: Sequence[float]) -> np.ndarray:
    return score_steps(forecast_seasonal_naive(data.test, levels), data.test, levels)["pinball"].mean(1)


def _repeat_season(data: SeriesData, levels: Sequence[float]) -> Baseline:
    naive = _lose_by_season(data, levels)
    return Baseline(name="seasonal-naive", scores=np.stack([naive, naive], 1))


def _describe_program(network: Forecaster, data: SeriesData, recipe: Recipe, device: str) -> ProgramSpec:
    windows = data.source.sample(recipe.num_calibration, generator_for(_CALIBRATION_SEED))
    histories = windows[:, : recipe.context].contiguous()

    def calibration() -> Iterable[tuple[Tensor, ...]]:
        return ((rows.to(device),) for rows in histories.split(32))

    return ProgramSpec(
        module=network.to(device),
        example_inputs=(histories[:4].to(device),),
        dynamic_shapes=({0: torch.export.Dim("rows", min=1, max=recipe.max_rows)},),
        calibration=calibration,
        # Static int8 of onnxruntime would round sums in the history's own unit, which rows do not share.
        quantization="static" if recipe.network == "cnn" else "dynamic",
    )


def _describe_output(name: str, level: float, horizon: int) -> TensorSpec:
    return TensorSpec(
        name=name,
        datatype="FP32",
        shape=(-1, horizon),
        meaning=f"what each next step's value stays below with a probability of {level:g}, in the history's unit",
    )
