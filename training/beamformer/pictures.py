"""Pictures of an evaluation: spectral efficiency curves, beam patterns, singular-value spectra."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.beamformer.baselines.digital import beamform_svd
from training.beamformer.channel import ChannelModel, steer_array
from training.beamformer.contenders import Observation, beamform_network
from training.beamformer.data import HeldOutChannels, observe
from training.beamformer.figures import Figure
from training.beamformer.metrics import measure_optimum, measure_spectral_efficiency
from training.beamformer.paired import to_complex
from training.beamformer.unrolled import Beamformer, BeamformingNetwork

_SHOWN_CSI_SNR_DB = -10.0
_NUM_CURVE_CHANNELS = 100
_ANGLES_PER_AXIS = 121
_METHODS = {
    "network": "tab:red",
    "multilinear Wiener": "tab:blue",
    "per-cluster HOSVD": "tab:green",
    "singular-value shrinkage": "tab:olive",
    "SVD": "tab:gray",
    "genie: span of angles": "black",
}


def draw_all(
    run: Path, network: BeamformingNetwork, held_out: HeldOutChannels, model: ChannelModel, figures: list[Figure]
) -> None:
    """Draw every picture into the run's folder."""
    draw_csi_curves(figures, run / "csi_curves.png")
    draw_data_curves(network, held_out, model, run / "data_curves.png")
    draw_beam_patterns(network, held_out, model, run / "beam_patterns.png")
    draw_spectra(network, held_out, model, run / "spectra.png")


def draw_csi_curves(figures: list[Figure], path: Path) -> None:
    """Percent of the optimum against CSI SNR, one panel per data SNR."""
    figure, axes = _make_figure(1, 2)
    for axis, data_snr_db in zip(axes, (0.0, -20.0), strict=True):
        for method, colour in _METHODS.items():
            points = sorted(
                (point.csi_snr_db, point.percent, *point.interval)
                for point in figures
                if (point.setting, point.method, point.data_snr_db) == ("digital", method, data_snr_db)
                and point.csi_snr_db is not None
            )
            if points:
                level, percent, low, high = (np.array(column) for column in zip(*points, strict=True))
                axis.plot(level, percent, color=colour, label=method, marker="o", markersize=3)
                axis.fill_between(level, low, high, color=colour, alpha=0.2)
        axis.set(xlabel="CSI SNR (dB)", ylabel="% of the optimum", title=f"data SNR {data_snr_db:g} dB", ylim=(30, 101))
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=110)


def draw_data_curves(network: BeamformingNetwork, held_out: HeldOutChannels, model: ChannelModel, path: Path) -> None:
    """Spectral efficiency against data SNR on noisy channels, digital and hybrid."""
    channel = held_out.channel[:_NUM_CURVE_CHANNELS]
    observation = Observation(observe(channel, _SHOWN_CSI_SNR_DB), _SHOWN_CSI_SNR_DB, None, model)
    curves = {"network": beamform_network(network, observation), "SVD": beamform_svd(observation.channel)}
    for chains in network.chain_counts:
        curves[f"network, {chains} RF chains"] = beamform_network(network, observation, num_chains=chains)
    levels = [float(level) for level in range(-30, 11, 5)]
    figure, (axis,) = _make_figure(1, 1)
    axis.plot(levels, [float(measure_optimum(channel, level).mean()) for level in levels], "k--", label="optimum")
    for name, weights in curves.items():
        reached = [float(measure_spectral_efficiency(channel, *weights, level).mean()) for level in levels]
        axis.plot(levels, reached, marker="o", markersize=3, label=name)
    axis.set(xlabel="data SNR (dB)", ylabel="bits/s/Hz", title=f"CSI SNR {_SHOWN_CSI_SNR_DB:g} dB")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=110)


def draw_beam_patterns(network: BeamformingNetwork, held_out: HeldOutChannels, model: ChannelModel, path: Path) -> None:
    """Power that the first precoder column sends to each azimuth and elevation, in dB below its peak."""
    channel = held_out.channel[:1]
    noisy = Observation(observe(channel, _SHOWN_CSI_SNR_DB), _SHOWN_CSI_SNR_DB, None, model)
    exact = Observation(channel, math.inf, None, model)
    chains = max(network.chain_counts, default=0)
    precoders = {
        "optimum": beamform_svd(channel)[0],
        f"SVD at CSI {_SHOWN_CSI_SNR_DB:g} dB": beamform_svd(noisy.channel)[0],
        f"network at CSI {_SHOWN_CSI_SNR_DB:g} dB": beamform_network(network, noisy)[0],
        f"network, {chains} RF chains, exact CSI" if chains else "network, exact CSI": beamform_network(
            network, exact, num_chains=chains
        )[0],
    }
    figure, axes = _make_figure(2, 2)
    for axis, (name, precoder) in zip(axes, precoders.items(), strict=True):
        power_db = _measure_pattern(precoder[0, 0, :, 0], model)
        picture = axis.imshow(power_db, extent=(0, 360, 180, 0), aspect="auto", vmin=-30, vmax=0, cmap="viridis")
        axis.set(xlabel="azimuth (°)", ylabel="elevation (°)", title=name)
        figure.colorbar(picture, ax=axis, label="dB")
    figure.savefig(path, dpi=110)


def draw_spectra(network: BeamformingNetwork, held_out: HeldOutChannels, model: ChannelModel, path: Path) -> None:
    """Singular values of the true, noisy and denoised channel, averaged over channels and subcarriers."""
    channel = held_out.channel[:_NUM_CURVE_CHANNELS]
    observed = observe(channel, _SHOWN_CSI_SNR_DB)
    spectra = {"true": channel, "noisy": observed}
    if isinstance(network, Beamformer):
        with torch.no_grad():
            level = torch.full((len(channel),), _SHOWN_CSI_SNR_DB)
            estimate = to_complex(network(torch.view_as_real(observed), level)[2])
        # The denoiser works with noise at 1; this is its scale.
        spectra["denoised"] = estimate * 10 ** (-_SHOWN_CSI_SNR_DB / 20)
    figure, (axis,) = _make_figure(1, 1)
    for name, matrices in spectra.items():
        axis.semilogy(np.arange(1, 1 + model.num_receive), _mean_singular_values(matrices), marker=".", label=name)
    axis.set(xlabel="index", ylabel="mean singular value", title=f"CSI SNR {_SHOWN_CSI_SNR_DB:g} dB")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=110)


def draw_robustness(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Percent of the optimum at a data SNR of 0 dB over each factor that `train beamformer robustness` changes."""
    factors = list(dict.fromkeys(record["factor"] for record in records))
    figure, axes = _make_figure(-(-len(factors) // 3), 3)
    for axis, factor in zip(axes, factors, strict=False):
        for method, colour in _METHODS.items():
            points = [
                (record["value"], each["percent"], *each["interval"])
                for record in records
                for each in record["figures"]
                if (record["factor"], each["method"], each["data_snr_db"]) == (factor, method, 0.0)
            ]
            if points:
                value, percent, low, high = (np.array(column) for column in zip(*points, strict=True))
                axis.plot(value, percent, color=colour, label=method, marker="o", markersize=3)
                axis.fill_between(value, low, high, color=colour, alpha=0.2)
        axis.set(xlabel=factor, ylabel="% of the optimum")
        axis.grid(alpha=0.3)
    axes[0].legend()
    for axis in axes[len(factors) :]:
        axis.set_axis_off()
    figure.savefig(path, dpi=110)


def _mean_singular_values(matrices: Tensor) -> np.ndarray:
    values = torch.linalg.svdvals(matrices)
    return values.reshape(-1, values.shape[-1]).mean(0).numpy()


def _measure_pattern(column: Tensor, model: ChannelModel) -> np.ndarray:
    azimuth = torch.linspace(0, 2 * math.pi, _ANGLES_PER_AXIS)
    elevation = torch.linspace(0, math.pi, _ANGLES_PER_AXIS)
    responses = steer_array(azimuth[None, :].expand(len(elevation), -1), elevation[:, None], model.transmit_shape)
    power = (responses.conj() @ column).abs().square()
    return (10 * torch.log10(power / power.max() + 1e-6)).numpy()


def _make_figure(num_rows: int, num_columns: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(6 * num_columns, 4 * num_rows), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(num_rows, num_columns)).flat)
