"""What a finished run is worth: spectral efficiency against data SNR and CSI SNR, beside every baseline.

All figures are sums over the same held-out channels in percent of the fully digital optimum's sum, with 95 % bootstrap
intervals; differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from host.progress import ProgressBar
from training.beamformer.channel import ChannelModel
from training.beamformer.contenders import (
    Observation,
    Weights,
    beamform_network,
    digital_baselines,
    hybrid_baselines,
)
from training.beamformer.data import GENERATED, HeldOutChannels, load_held_out, make_channel_model, observe
from training.beamformer.figures import Figure, compare_methods
from training.beamformer.network import load_network
from training.beamformer.page import write_page
from training.beamformer.pictures import draw_all
from training.beamformer.unrolled import BeamformingNetwork
from training.engine.runs import read_run, write_json

NETWORK = "network"
EVALUATION = "evaluation.json"
CSI_SNR_DB = (math.inf, 10.0, 0.0, -5.0, -10.0, -15.0)
HYBRID_CSI_SNR_DB = (math.inf, -10.0)
SHIFT_CSI_SNR_DB = -10.0


def evaluate_run(run: Path) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, pictures and index.html into it; returns the headline figures."""
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


def headline(figures: list[Figure], num_channels: int) -> dict[str, Any]:
    """The network's figures at 0 dB by setting and CSI SNR."""
    found: dict[str, Any] = {"n": num_channels}
    for figure in figures:
        if figure.method == NETWORK and figure.data_snr_db == 0:
            level = "exact CSI" if figure.csi_snr_db is None else f"CSI {figure.csi_snr_db:g} dB"
            found[f"{figure.setting}, {level}"] = round(figure.percent, 3)
    return found
