"""Pictures of an evaluation: channels and what came back of them, and how the errors are distributed.

Dimensions: N channels, T delay taps, A angles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_NUM_CHANNELS = 4
_FLOOR_DB = -30.0


def draw_all(
    run: Path, channels: np.ndarray, restored: Mapping[str, np.ndarray], errors: Mapping[str, np.ndarray]
) -> None:
    """Draw every picture into the run's folder."""
    draw_channels(channels, restored, errors, run / "channels.png")
    draw_errors(errors, run / "errors.png")


def draw_channels(
    channels: np.ndarray, restored: Mapping[str, np.ndarray], errors: Mapping[str, np.ndarray], path: Path
) -> None:
    """Powers of some channels [N, T, A, 2] by angle and delay, in dB below the strongest, and what each method kept."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    chosen = np.linspace(0, len(channels) - 1, min(_NUM_CHANNELS, len(channels))).round().astype(int)
    figure = Figure(figsize=(2.6 * (len(restored) + 1), 2.5 * len(chosen) + 0.6), layout="constrained")
    axes = figure.subplots(len(chosen), len(restored) + 1, squeeze=False, sharex=True, sharey=True)
    picture: Any = None
    for row, number in enumerate(chosen):
        peak = np.square(channels[number]).sum(-1).max()
        for column, (name, each) in enumerate({"channel": channels, **restored}.items()):
            power = np.square(each[number].astype(np.float64)).sum(-1) / peak
            levels = 10 * np.log10(np.maximum(power, 1e-9)).T
            picture = axes[row, column].imshow(
                levels, aspect="auto", vmin=_FLOOR_DB, vmax=0, cmap="magma", interpolation="nearest"
            )
            note = f"\n{10 * np.log10(max(errors[name][number], 1e-9)):.1f} dB" if name in errors else ""
            axes[row, column].set_title(f"{name}{note}", fontsize=9)
    figure.supxlabel("delay, taps")
    figure.supylabel("angle, DFT of the antennas")
    figure.colorbar(picture, ax=axes, label="dB below the strongest entry", shrink=0.6)
    figure.savefig(path, dpi=100)


def draw_errors(errors: Mapping[str, np.ndarray], path: Path) -> None:
    """Share of channels whose error lies below a level, by method."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axis = figure.subplots()
    for name, each in errors.items():
        ordered = 10 * np.log10(np.maximum(np.sort(each), 1e-9))
        axis.plot(ordered, (np.arange(len(ordered)) + 1) / len(ordered), label=name)
    axis.set(xlabel="error of a channel, dB below its power", ylabel="share of channels", ylim=(0, 1))
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=100)


def draw_by_compression(nmse_db: Mapping[str, Sequence[float]], compressions: Sequence[int], path: Path) -> None:
    """NMSE of each method against the compression."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axis = figure.subplots()
    for name, values in nmse_db.items():
        axis.plot(compressions, values, marker="o", label=name)
    axis.set(xlabel="values of a channel for each value of a codeword", ylabel="NMSE, dB", xscale="log")
    axis.set_xticks(compressions, [str(compression) for compression in compressions])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=100)
