"""A finished beamformer run, as `release` wants it described."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.beamformer.baselines.digital import beamform_svd
from training.beamformer.data import load_held_out, make_channel_model, observe
from training.beamformer.metrics import NUM_STREAMS, measure_optimum, measure_spectral_efficiency
from training.beamformer.network import load_network
from training.beamformer.program import DigitalProgram, HybridProgram
from training.beamformer.recipe import Recipe
from training.beamformer.unrolled import NUM_CHAINS, Beamformer
from training.engine.runs import read_run
from training.release.spec import Baseline, HeldOut, ParameterSpec, ProgramSpec, ReleaseSpec, TensorSpec

RELEASE_CSI_SNR_DB = (0.0, -5.0, -10.0, -15.0)
_DATA_SNR_DB = 0.0
_LEFT_OUT = {
    "int8": "only the gates' convolutions could be quantized, and they take 6 % of the time",
    "fp16": "channels of high SNR exceed its range",
}


def describe_release(run: Path, device: str) -> ReleaseSpec:
    """Describe a run: its programs, tensors, held-out channels and margin."""
    record = read_run(run)
    network, recipe = load_network(run)
    if not isinstance(network, Beamformer):
        raise ValueError(
            f"{run} is a {recipe.network}, which is for comparison only: complex tensors have no compiled kernels; "
            "release a run with network=unrolled"
        )
    model = make_channel_model(recipe)
    test = load_held_out(record["data"], Path(record["data_root"]), model, recipe.num_released_test)
    channel, csi_snr_db = mix_noise(test.channel)
    inputs = {"channel": channel, "csi_snr_db": csi_snr_db}
    score = make_score(test.channel)
    return ReleaseSpec(
        kind="beamformer",
        description=f"precoders and combiners for {model.num_receive}×{model.num_transmit} mmWave channels of "
        f"{model.num_subcarriers} subcarriers, from noisy estimates",
        programs=describe_programs(network, recipe, inputs, device),
        inputs=_describe_inputs(model.num_subcarriers, model.num_receive, model.num_transmit),
        input_sets=(("channel", "csi_snr_db"),),
        outputs=_describe_outputs(model.num_subcarriers, model.num_receive, model.num_transmit),
        default_outputs=("precoder", "combiner"),
        parameters=(
            ParameterSpec(
                name="rf_chains",
                kind="int64",
                meaning="RF chains on either side for hybrid weights; fully digital if absent",
                minimum=min(NUM_CHAINS),
                maximum=max(NUM_CHAINS),
            ),
        ),
        held_out=HeldOut(
            inputs=inputs,
            score=score,
            baseline=_believe_estimate(channel, score),
            metric="% of the optimal spectral efficiency",
            dataset=f"{test.name}, CSI SNR {', '.join(f'{level:g}' for level in RELEASE_CSI_SNR_DB)} dB",
        ),
        margin=recipe.margin,
        examples={name: rows[: recipe.num_examples] for name, rows in inputs.items()},
        max_rows=recipe.max_rows,
        usage="H.npy --out F.npz",
        left_out=_LEFT_OUT,
        seed=record["seed"],
        run=run,
    )


def mix_noise(channel: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Observe channels at the release's CSI SNRs in turn: float32 [N, K, R, T, 2] and CSI SNR float32 [N]."""
    levels = [RELEASE_CSI_SNR_DB[row % len(RELEASE_CSI_SNR_DB)] for row in range(len(channel))]
    observed = torch.empty_like(channel)
    for level in RELEASE_CSI_SNR_DB:
        rows = torch.tensor([row for row, each in enumerate(levels) if each == level])
        observed[rows] = observe(channel[rows], level)
    return torch.view_as_real(observed).numpy(), np.array(levels, np.float32)


def make_score(channel: Tensor) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Score each row by its spectral efficiency at 0 dB in percent of the row's optimum."""
    optimum = measure_optimum(channel, _DATA_SNR_DB)

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        precoder, combiner = (
            torch.view_as_complex(torch.from_numpy(np.ascontiguousarray(outputs[name], np.float32)))
            for name in ("precoder", "combiner")
        )
        reached = measure_spectral_efficiency(channel, precoder, combiner, _DATA_SNR_DB)
        return (100 * reached / optimum).double().numpy()

    return score


def _believe_estimate(channel: np.ndarray, score: Callable[[Mapping[str, np.ndarray]], np.ndarray]) -> Baseline:
    """Beams of noisy estimates float32 [N, K, R, T, 2] as if they were the channels."""
    beams = beamform_svd(torch.view_as_complex(torch.from_numpy(channel)))
    answers = {
        name: torch.view_as_real(beam).numpy() for name, beam in zip(("precoder", "combiner"), beams, strict=True)
    }
    return Baseline(name="singular vectors of the noisy estimate", scores=score(answers))


def describe_programs(
    network: Beamformer, recipe: Recipe, inputs: Mapping[str, np.ndarray], device: str
) -> dict[str, ProgramSpec]:
    """Describe the digital program, `main`, and the one that goes on from its outputs to any number of RF chains."""
    examples = tuple(torch.from_numpy(rows[:4]).to(device) for rows in inputs.values())
    digital: nn.Module = DigitalProgram(network.to(device)).eval()
    with torch.no_grad():
        precoder, _, estimate = digital(*examples)
    num_chains = torch.full((len(precoder),), max(NUM_CHAINS), device=device)
    return {
        "main": _describe_program(digital, examples, recipe),
        "hybrid": _describe_program(
            HybridProgram(network.heads.values()), (precoder, estimate, num_chains), recipe, is_exact=True
        ),
    }


def _describe_program(
    module: nn.Module, examples: tuple[Tensor, ...], recipe: Recipe, *, is_exact: bool = False
) -> ProgramSpec:
    rows = torch.export.Dim("rows", min=1, max=recipe.max_rows)
    shapes = tuple({0: rows} for _ in examples)
    return ProgramSpec(module=module, example_inputs=examples, dynamic_shapes=shapes, is_exact=is_exact)


def _describe_inputs(num_subcarriers: int, num_receive: int, num_transmit: int) -> tuple[TensorSpec, ...]:
    return (
        TensorSpec(
            name="channel",
            datatype="FP32",
            shape=(-1, num_subcarriers, num_receive, num_transmit, 2),
            meaning="channel estimate: subcarriers × receive × transmit antennas × re/im, of any scale",
        ),
        TensorSpec(
            name="csi_snr_db",
            datatype="FP32",
            shape=(-1,),
            meaning="power of the channel over that of the estimation error, per entry; estimated if absent",
            unit="dB",
            minimum=-40,
            maximum=200,
            optional=True,
        ),
    )


def _describe_outputs(num_subcarriers: int, num_receive: int, num_transmit: int) -> tuple[TensorSpec, ...]:
    sides = (("precoder", num_transmit, "‖F‖² = Ns"), ("combiner", num_receive, "orthonormal columns"))
    whole = [
        TensorSpec(
            name=name,
            datatype="FP32",
            shape=(-1, num_subcarriers, antennas, NUM_STREAMS, 2),
            meaning=f"{name}: subcarriers × antennas × streams × re/im, {norm}; with rf_chains analog × baseband",
        )
        for name, antennas, norm in sides
    ]
    parts = []
    for name, antennas, _ in sides:
        parts += [
            TensorSpec(
                name=f"analog_{name}",
                datatype="FP32",
                shape=(-1, antennas, -1, 2),
                meaning=f"phase shifters of the {name}: antennas × RF chains × re/im, modulus 1/√antennas",
            ),
            TensorSpec(
                name=f"baseband_{name}",
                datatype="FP32",
                shape=(-1, num_subcarriers, -1, NUM_STREAMS, 2),
                meaning=f"digital part of the {name}: subcarriers × RF chains × streams × re/im",
            ),
        ]
    return (*whole, *parts)
