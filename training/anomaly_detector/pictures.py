"""Signals of every label and what came back of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.anomaly_detector.data import UsualData
from training.anomaly_detector.program import Answer


def draw_signals(data: UsualData, answer: Answer, rate_hz: float, path: Path) -> None:
    """Draw of each label the test signal that deviates least, the middle one and the one that deviates most."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    truth, time_s = data.test.labels.numpy(), np.arange(data.num_samples) / rate_hz
    labels = np.unique(truth)
    figure = Figure(figsize=(15, 1.7 * len(labels) + 0.6), layout="constrained")
    panels = figure.subplots(len(labels), 3, squeeze=False, sharex=True)
    for label, row in zip(labels, panels, strict=True):
        own = np.flatnonzero(truth == label)
        ordered = own[np.argsort(answer.deviation[own])]
        for axes, signal in zip(row, (ordered[0], ordered[len(ordered) // 2], ordered[-1]), strict=True):
            axes.plot(time_s, data.test.values[signal], color="black", linewidth=0.8)
            axes.plot(time_s, answer.reconstruction[signal], color="tab:red", linewidth=0.8)
            axes.set_title(f"{data.labels[label]}: {answer.deviation[signal]:.2f}", fontsize=9)
    figure.supxlabel("seconds; what came in black, what came back in red, the deviation above")
    figure.savefig(path, dpi=100)
