"""What a run logs: its curves, and TensorBoard's event files."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.engine.curves import CurveFile
from training.engine.distributed import leads


class EventLog:
    """Writes into a run's folder; nothing where another process leads, curves alone where tensorboard is missing."""

    def __init__(self, folder: Path, *, last_step: int = 0) -> None:
        """`last_step` is the step of the checkpoint from which a run goes on."""
        self._curves = CurveFile(folder, last_step=last_step) if leads() else None
        self._writer: Any = None
        if leads() and importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter  # slow to import, and may be missing

            self._writer = SummaryWriter(str(folder), max_queue=100, flush_secs=30)

    def add_scalars(self, prefix: str, values: Mapping[str, float], step: int) -> None:
        """Record one value under each `prefix/name`."""
        named = {f"{prefix}/{name}": value for name, value in values.items()}
        if self._curves is not None:
            self._curves.add(named, step)
        if self._writer is not None:
            for name, value in named.items():
                self._writer.add_scalar(name, value, step)

    def add_pictures(self, pictures: Mapping[str, np.ndarray], step: int) -> None:
        """Record pictures uint8 [H, W, C], of 1 or 3 channels, under their names."""
        if self._writer is not None:
            for name, picture in pictures.items():
                self._writer.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        if self._curves is not None:
            self._curves.close()
        if self._writer is not None:
            self._writer.close()
