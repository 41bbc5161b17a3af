"""Signals as they came, as they were and what each method made of them; and gains by how strong disturbances are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.signal_denoiser.data import SignalData

_NUM_SIGNALS = 4
_COLOURS = ("tab:blue", "tab:orange", "tab:green")
_NUM_BINS = 10


def draw_signals(data: SignalData, found: Mapping[str, np.ndarray], rate_hz: float, path: Path) -> None:
    """Draw test signals from the most disturbed to the least: what came in the first row, then each method's answer."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    order = np.argsort(data.test.snr_db.numpy())
    chosen = order[np.linspace(0, len(order) - 1, min(_NUM_SIGNALS, len(order))).astype(int)]
    figure = Figure(figsize=(4.2 * len(chosen), 1.6 * (len(found) + 1)), layout="constrained")
    panels = figure.subplots(len(found) + 1, len(chosen), squeeze=False, sharex=True, sharey="col")
    time_s = np.arange(data.num_samples) / rate_hz
    for column, signal in enumerate(chosen):
        rows = {"as it came": data.test.noisy.numpy()} | dict(found)
        panels[0][column].set_title(f"{data.test.snr_db[signal]:.0f} dB", fontsize=9)
        for axes, (method, values), colour in zip(panels[:, column], rows.items(), ("tab:red", *_COLOURS), strict=True):
            axes.plot(time_s, data.test.clean[signal], color="black", linewidth=0.6)
            axes.plot(time_s, values[signal] - values[signal].mean(), color=colour, linewidth=0.8)
            if not column:
                axes.set_ylabel(method, fontsize=8)
    figure.supxlabel("seconds; as it was in black")
    figure.savefig(path, dpi=100)


def draw_gains(gains: Mapping[str, np.ndarray], snr_db: np.ndarray, path: Path) -> None:
    """Draw the mean gain of each method over the power of signals above their disturbances."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    edges = np.quantile(snr_db, np.linspace(0, 1, min(_NUM_BINS, len(snr_db)) + 1))
    group = np.digitize(snr_db, edges[1:-1])
    for (method, own), colour in zip(gains.items(), _COLOURS, strict=True):
        numbers = np.unique(group)
        axes.plot(
            [snr_db[group == number].mean() for number in numbers],
            [own[group == number].mean() for number in numbers],
            marker="o",
            color=colour,
            label=method,
        )
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(xlabel="power above disturbances, dB", ylabel="gain, dB")
    axes.legend()
    figure.savefig(path, dpi=100)
