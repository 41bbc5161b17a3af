"""Pictures of an evaluation: some test sources, what each method makes of them, and what was wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from training.image_translator.domains import Domains

_NUM_SHOWN = 10


def draw_translations(test: Domains, answers: Mapping[str, Tensor], path: Path) -> None:
    """Sources in the first row, below them the answers uint8 [N, H, W, D] of each method, and true targets if known."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    chosen = np.linspace(0, len(test.sources) - 1, min(_NUM_SHOWN, len(test.sources))).round().astype(int)
    rows = {"source": test.sources} | dict(answers)
    if test.paired:
        rows["truth"] = test.targets
    figure = Figure(figsize=(1.1 * len(chosen) + 0.6, 1.2 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(chosen), squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name.replace(" of ", "\nof "), fontsize=8)
        for axis, row in zip(line, chosen, strict=True):
            axis.imshow(images[row].expand(-1, -1, 3).numpy(), interpolation="nearest")
            axis.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=100)
