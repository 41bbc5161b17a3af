"""A finished run of CSI feedback, as `release` wants it described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.csi_feedback.baselines import keep_common
from training.csi_feedback.data import CsiData, draw_calibration, load_data
from training.csi_feedback.network import CsiCodec, load_network
from training.csi_feedback.program import DecoderProgram, EncoderProgram
from training.csi_feedback.recipe import Recipe
from training.csi_feedback.scores import measure_errors, nmse_db
from training.engine.runs import read_run
from training.release.spec import Baseline, HeldOut, ProgramSpec, ReleaseSpec, TensorSpec


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its two programs, tensors, held-out channels and margin."""
    record = read_run(run)
    codec, recipe = load_network(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    codeword, scale, channel = describe_tensors(recipe)
    score = make_score(data)
    common = keep_common(data.test, data.fit, recipe.code_size).numpy()
    return ReleaseSpec(
        kind="csi_feedback",
        description=f"{recipe.network} for {data.name} channels of {recipe.num_antennas} antennas and "
        f"{recipe.num_taps} taps, {recipe.code_size} values for {recipe.num_values}",
        programs=_describe_programs(codec, data, recipe, device),
        inputs=(
            channel("channel", "channel by delay tap and angle, real and imaginary part, of any scale"),
            codeword,
            scale(optional=True),
        ),
        input_sets=(("channel",), ("codeword", "scale")),
        outputs=(codeword, scale(optional=False), channel("reconstruction", "channel that the codeword stands for")),
        held_out=HeldOut(
            inputs={"channel": data.test.numpy()},
            score=score,
            baseline=Baseline(name="the entries strongest on average", scores=score({"reconstruction": common})),
            metric="dB of NMSE below the channel's power",
            dataset=f"{data.name} test",
            aggregate=lambda scores: -nmse_db(scores),
        ),
        margin=recipe.margin,
        examples={"channel": data.test[: recipe.num_examples].numpy()},
        max_rows=recipe.max_rows,
        usage="H.npy --out codewords.npz",
        seed=record["seed"],
        run=run,
    )


def describe_tensors(
    recipe: Recipe,
) -> tuple[TensorSpec, Callable[..., TensorSpec], Callable[[str, str], TensorSpec]]:
    """Describe codewords, and make the descriptions of scales and of channels."""
    bits = recipe.code_bits
    codeword = TensorSpec(
        name="codeword",
        datatype="UINT8" if bits else "FP32",
        shape=(-1, recipe.code_size),
        meaning=f"what is sent instead of the channel, {bits} bits a value" if bits else "what is sent of the channel",
        minimum=0 if bits else None,
        maximum=2**bits - 1 if bits else None,
    )

    def scale(*, optional: bool) -> TensorSpec:
        return TensorSpec(
            name="scale",
            datatype="FP32",
            shape=(-1,),
            meaning="root of the mean power of the channel's entries" + ("; 1 if absent" if optional else ""),
            minimum=0,
            optional=optional,
        )

    def channel(name: str, meaning: str) -> TensorSpec:
        shape = (-1, recipe.num_taps, recipe.num_antennas, 2)
        return TensorSpec(name=name, datatype="FP32", shape=shape, meaning=meaning, finite=name != "channel")

    return codeword, scale, channel


def make_score(data: CsiData) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Score each channel by the power of its error as a share of its own; the metric makes dB of their mean."""
    return lambda outputs: measure_errors(data.test.numpy(), outputs["reconstruction"])


def _describe_programs(codec: CsiCodec, data: CsiData, recipe: Recipe, device: str) -> dict[str, ProgramSpec]:
    channels = draw_calibration(data, recipe.num_calibration)
    with torch.no_grad():
        codewords = EncoderProgram(codec)(channels)

    def describe(module: torch.nn.Module, rows: Tensor) -> ProgramSpec:
        def calibration() -> Iterable[tuple[Tensor, ...]]:
            return ((piece.to(device),) for piece in rows.split(32))

        return ProgramSpec(
            module=module.to(device),
            example_inputs=(rows[:4].to(device),),
            dynamic_shapes=({0: torch.export.Dim("rows", min=1, max=recipe.max_rows)},),
            calibration=calibration,
            quantization="static" if recipe.network == "csinet" else "dynamic",
        )

    return {
        "encoder": describe(EncoderProgram(codec), channels),
        "decoder": describe(DecoderProgram(codec), codewords),
    }
