"""A finished signal denoiser run, as `release` wants it described."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from training.engine.runs import read_run, refuse_other_data
from training.engine.seeds import generator_for
from training.release.spec import Baseline, HeldOut, ProgramSpec, ReleaseSpec, TensorSpec, describe_row_program
from training.signal_denoiser.baselines import pass_band
from training.signal_denoiser.data import SignalData, disturb, load_data
from training.signal_denoiser.network import SignalDenoiser, load_network
from training.signal_denoiser.recipe import Recipe
from training.signal_denoiser.scores import score_signals

_CALIBRATION_SEED = 20_261_129


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out signals and margin.

    Raises:
        ValueError: the run's data has changed.
    """
    record = read_run(run)
    network, recipe, stored = load_network(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    refuse_other_data(run, {"shape": (data.num_samples,)}, stored)
    shape = (-1, data.num_samples)
    return ReleaseSpec(
        kind="signal_denoiser",
        description=f"denoiser for {data.name} signals of {data.num_samples} samples, {recipe.rate_hz:g} a second",
        programs={"main": _describe_program(network, data, recipe, device)},
        inputs=(
            TensorSpec(
                name="signal",
                datatype="FP32",
                shape=shape,
                meaning=f"samples of a signal of any gain and offset, {recipe.rate_hz:g} a second; NaN: missing",
                finite=False,
            ),
        ),
        input_sets=(("signal",),),
        outputs=(
            TensorSpec(
                name="clean",
                datatype="FP32",
                shape=shape,
                meaning="the signal without wander, hum and noise, around 0, in its own unit",
            ),
        ),
        held_out=_describe_held_out(data, recipe),
        margin=recipe.margin,
        examples={"signal": data.test.noisy[: recipe.num_examples].numpy()},
        max_rows=recipe.max_rows,
        usage="signals.csv --out clean.csv",
        seed=record["seed"],
        run=run,
    )


def _describe_held_out(data: SignalData, recipe: Recipe) -> HeldOut:
    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return score_signals(outputs["clean"], data.test.noisy, data.test.clean)

    return HeldOut(
        inputs={"signal": data.test.noisy.numpy()},
        score=score,
        metric="mean gain over the signal as it came, dB",
        dataset=f"{data.name} test",
        baseline=Baseline(
            name="a monitor's band of 0.5 to 40 Hz", scores=score({"clean": pass_band(data.test.noisy, recipe.rate_hz)})
        ),
    )


def _describe_program(network: SignalDenoiser, data: SignalData, recipe: Recipe, device: str) -> ProgramSpec:
    random = generator_for(_CALIBRATION_SEED)
    chosen = torch.randperm(len(data.train), generator=random)[: recipe.num_calibration]
    rows = disturb(data.train[chosen], recipe, random).noisy
    return describe_row_program(network.to(device), rows, max_rows=recipe.max_rows, device=device)
