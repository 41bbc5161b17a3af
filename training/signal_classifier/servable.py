"""A finished signal classifier run, as `release` wants it described."""

from __future__ import annotations

from pathlib import Path

import torch

from training.engine.runs import read_run, refuse_other_data
from training.engine.seeds import generator_for
from training.labels.program import CalibratedProgram
from training.labels.servable import Noun, describe_ranking, guess_majority, score_labels
from training.release.spec import HeldOut, ProgramSpec, ReleaseSpec, TensorSpec, describe_row_program
from training.signal_classifier.data import load_data
from training.signal_classifier.network import SignalClassifier, load_network
from training.signal_classifier.recipe import Recipe
from training.signals.recordings import SignalData

_CALIBRATION_SEED = 20_261_127
_NOUN = Noun("label", "labels")


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its program, tensors, held-out signals and margin.

    Raises:
        ValueError: the run's data has changed.
    """
    record = read_run(run)
    network, recipe, stored = load_network(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    refuse_other_data(run, {"labels": data.labels, "shape": (data.num_samples,)}, stored)
    outputs, top_k = describe_ranking(len(data.labels), _NOUN)
    return ReleaseSpec(
        kind="signal_classifier",
        description=f"{recipe.network} for {data.name} signals: {', '.join(data.labels[:10])}",
        programs={"main": _describe_program(network, stored["temperature"], data, recipe, device)},
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
        outputs=outputs,
        parameters=(top_k,),
        handler_options={"labels": list(data.labels)},
        held_out=HeldOut(
            inputs={"signal": data.test.values.numpy()},
            score=score_labels(data.test.labels.numpy()),
            metric="accuracy",
            dataset=f"{data.name} test",
            binary=True,
            baseline=guess_majority(data.train.labels.numpy(), data.test.labels.numpy(), _NOUN),
        ),
        margin=recipe.margin,
        examples={"signal": data.test.values[: recipe.num_examples].numpy()},
        max_rows=recipe.max_rows,
        usage="signals.csv --top 3",
        seed=record["seed"],
        run=run,
    )


def _describe_program(
    network: SignalClassifier, temperature: float, data: SignalData, recipe: Recipe, device: str
) -> ProgramSpec:
    chosen = torch.randperm(len(data.train), generator=generator_for(_CALIBRATION_SEED))[: recipe.num_calibration]
    return describe_row_program(
        CalibratedProgram(network, temperature).requires_grad_(False).to(device),
        data.train.values[chosen],
        max_rows=recipe.max_rows,
        device=device,
        quantization="static" if recipe.network == "cnn" else "dynamic",
    )
