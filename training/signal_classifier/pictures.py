"""Signals and what they were taken for; the other pictures are those of all labelled kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.signals.recordings import SignalData

_NUM_COLUMNS = 2


def draw_signals(data: SignalData, predicted: np.ndarray, rate_hz: float, path: Path) -> None:
    """Draw a test signal of each label that was named rightly, and one that was not, where there are such."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    figure = Figure(figsize=(12, 1.7 * len(data.labels) + 0.6), layout="constrained")
    panels = figure.subplots(len(data.labels), _NUM_COLUMNS, squeeze=False, sharex=True)
    truth, time_s = data.test.labels.numpy(), np.arange(data.num_samples) / rate_hz
    for label, row in enumerate(panels):
        for axes, is_right, colour in zip(row, (True, False), ("tab:blue", "tab:red"), strict=True):
            found = np.flatnonzero((truth == label) & ((predicted == label) == is_right))
            if not len(found):
                axes.set_axis_off()
                continue
            axes.plot(time_s, data.test.values[found[0]], color=colour, linewidth=0.8)
            taken = "" if is_right else f", taken for {data.labels[predicted[found[0]]]}"
            axes.set_title(f"{data.labels[label]}{taken}", fontsize=9)
    figure.supxlabel("seconds")
    figure.savefig(path, dpi=100)
