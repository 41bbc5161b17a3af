"""What a finished run is worth: spectral efficiency against data SNR and CSI SNR, beside every baseline.

All figures are sums over the same held-out channels in percent of the fully digital optimum's sum, with 95 % bootstrap
intervals; differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from host.progress import ProgressBar
from training.beamformer.channel import ChannelModel
from training.beamformer.contenders import (
    Observation,
    Weights,
    beamform_network,
    digital_baselines,
    hybrid_baselines,
)
from training.beamformer.data import GENERATED, HeldOutChannels, load_held_out, observe
from training.beamformer.metrics import measure_optimum, measure_spectral_efficiency
from training.beamformer.network import BeamformingNetwork
from training.engine.runs import read_run, write_json
from training.release.statistics import bootstrap_interval, paired_bootstrap

NETWORK = "network"
EVALUATION = "evaluation.json"
CSI_SNR_DB = (math.inf, 10.0, 0.0, -5.0, -10.0, -15.0)
DATA_SNR_DB = (0.0, -20.0)
HYBRID_CSI_SNR_DB = (math.inf, -10.0)
SHIFT_CSI_SNR_DB = -10.0
PAIRED_WITH = ("per-cluster HOSVD", "multilinear Wiener", "SVD", "MO-AltMin", "phase AltMin, 30 sweeps")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One method at one CSI SNR and data SNR; `differences` are network minus method, with its interval."""

    setting: str
    method: str
    csi_snr_db: float | None
    data_snr_db: float
    percent: float
    interval: tuple[float, float]
    network_minus_method: tuple[float, float, float] | None = None


def evaluate_run(run: Path) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, pictures and index.html into it; returns the headline figures."""
    from training.beamformer.page import write_page
    from training.beamformer.pictures import draw_all
    from training.beamformer.session import load_network, make_channel_model

    record = read_run(run)
    network, recipe = load_network(run)
    model = make_channel_model(recipe)
    held_out = load_held_out(record["data"], Path(record["data_root"]), model, recipe.num_test)
    shifts = shifted_models(model) if record["data"] == GENERATED else {}
    num_steps = len(CSI_SNR_DB) + len(HYBRID_CSI_SNR_DB) * len(network.chain_counts) + len(shifts)
    figures: list[Figure] = []
    with ProgressBar("evaluating", total=num_steps) as bar:
        for level in CSI_SNR_DB:
            figures += evaluate_digital(network, held_out, model, level)
            bar.advance()
        for level in HYBRID_CSI_SNR_DB:
            for chains in network.chain_counts:
                figures += evaluate_hybrid(network, held_out, model, level, chains)
                bar.advance()
        for name, shifted in shifts.items():
            channels = load_held_out(GENERATED, Path(), shifted, recipe.num_test)
            figures += evaluate_digital(network, channels, shifted, SHIFT_CSI_SNR_DB, setting=name)
            bar.advance()
    write_json(run / EVALUATION, {"dataset": held_out.name, "figures": [asdict(figure) for figure in figures]})
    draw_all(run, network, held_out, model, figures)
    write_page(run, held_out.name, figures)
    return headline(figures, len(held_out.channel))


def shifted_models(model: ChannelModel) -> dict[str, ChannelModel]:
    """Channel models that no training step has seen."""
    return {
        "spread 5°": replace(model, spread_deg=5.0),
        "spread 15°": replace(model, spread_deg=15.0),
        "3 clusters": replace(model, num_clusters=3),
        "8 clusters": replace(model, num_clusters=8),
    }


def evaluate_digital(
    network: BeamformingNetwork,
    held_out: HeldOutChannels,
    model: ChannelModel,
    csi_snr_db: float,
    setting: str = "digital",
) -> list[Figure]:
    """Compare fully digital methods at one CSI SNR; the network also without being told the level."""
    observation = Observation(observe(held_out.channel, csi_snr_db), csi_snr_db, held_out.rays, model)
    methods: dict[str, Callable[[], Weights]] = {NETWORK: lambda: beamform_network(network, observation)}
    methods["network, level unknown"] = lambda: beamform_network(network, observation, is_level_told=False)
    methods |= digital_baselines(observation)
    return compare_methods(held_out.channel, methods, setting, csi_snr_db)


def evaluate_hybrid(
    network: BeamformingNetwork, held_out: HeldOutChannels, model: ChannelModel, csi_snr_db: float, num_chains: int
) -> list[Figure]:
    """Compare hybrid methods for one number of RF chains."""
    observation = Observation(observe(held_out.channel, csi_snr_db), csi_snr_db, held_out.rays, model)
    methods: dict[str, Callable[[], Weights]] = {
        NETWORK: lambda: beamform_network(network, observation, num_chains=num_chains)
    }
    methods |= hybrid_baselines(observation, num_chains)
    return compare_methods(held_out.channel, methods, f"hybrid, {num_chains} chains", csi_snr_db)


def compare_methods(
    channel: Tensor,
    methods: Mapping[str, Callable[[], Weights]],
    setting: str,
    csi_snr_db: float,
    paired_with: Sequence[str] = PAIRED_WITH,
) -> list[Figure]:
    """Measure each method on the true channels complex64 [N, K, R, T]; the first is paired with those named."""
    figures = []
    reference: dict[float, np.ndarray] = {}
    for name, beamform in methods.items():
        precoder, combiner = beamform()
        for data_snr_db in DATA_SNR_DB:
            reached = measure_spectral_efficiency(channel, precoder, combiner, data_snr_db)
            scores = np.stack(
                [reached.double().numpy(), measure_optimum(channel, data_snr_db).double().numpy()], axis=1
            )
            reference.setdefault(data_snr_db, scores)
            paired = None
            if name in paired_with:
                first = reference[data_snr_db]
                low, high, _ = paired_bootstrap(first, scores, percent_of_optimum)
                paired = (percent_of_optimum(first) - percent_of_optimum(scores), low, high)
            figures.append(
                Figure(
                    setting=setting,
                    method=name,
                    csi_snr_db=None if math.isinf(csi_snr_db) else csi_snr_db,
                    data_snr_db=data_snr_db,
                    percent=percent_of_optimum(scores),
                    interval=bootstrap_interval(scores, percent_of_optimum),
                    network_minus_method=paired,
                )
            )
    return figures


def percent_of_optimum(scores: np.ndarray) -> float:
    """100 · Σ reached / Σ optimum for rows [N, 2]."""
    return float(100 * scores[:, 0].sum() / scores[:, 1].sum())


def headline(figures: list[Figure], num_channels: int) -> dict[str, Any]:
    """The network's figures at 0 dB by setting and CSI SNR."""
    found: dict[str, Any] = {"n": num_channels}
    for figure in figures:
        if figure.method == NETWORK and figure.data_snr_db == 0:
            level = "exact CSI" if figure.csi_snr_db is None else f"CSI {figure.csi_snr_db:g} dB"
            found[f"{figure.setting}, {level}"] = round(figure.percent, 3)
    return found
