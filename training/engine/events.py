"""TensorBoard event files."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.engine.distributed import leads


class EventLog:
    """Writes scalars into a run's folder; writes nothing where another process leads or tensorboard is missing."""

    def __init__(self, folder: Path) -> None:
        self._writer: Any = None
        if leads() and importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter  # slow to import, and may be missing

            self._writer = SummaryWriter(str(folder), max_queue=100, flush_secs=30)

    def add_scalars(self, prefix: str, values: Mapping[str, float], step: int) -> None:
        """Record one value under each `prefix/name`."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{prefix}/{name}", value, step)

    def add_pictures(self, pictures: Mapping[str, np.ndarray], step: int) -> None:
        """Record pictures uint8 [H, W, C], of 1 or 3 channels, under their names."""
        if self._writer is not None:
            for name, picture in pictures.items():
                self._writer.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
