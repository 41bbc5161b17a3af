"""What a person says on the command line, for every model alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """One training run as it was asked for; the recipe says how, this says on what, where and from which seed."""

    model: str
    preset: str
    data: str
    data_root: Path
    out: Path
    device: str = "auto"
    seed: int = 0
    resume: bool = False
    overwrite: bool = False
    command: str = ""
    pictures: bool = True  # somebody will look at them: nobody does where a classifier only judges another run
