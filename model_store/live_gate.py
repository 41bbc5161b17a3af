"""What a live gate knows so far of a candidate: left in the store by the process that runs it, for people to read.

`<root>/<model>/.gates/<version>@<host>.json` is a note and proves nothing; what the gate decides is a signed act.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from host.replacement import replacing

_FOLDER = ".gates"
Outcome = Literal["pass", "fail", "undecided"]


class GateProgress(BaseModel):
    """How often a candidate changed the answers that were sent, as shares of them; `lower` and `upper` at 95 %."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: str
    against: str
    margin: float
    num_requests: int
    num_skipped: int
    change: float
    lower: float
    upper: float
    outcome: Outcome
    host: str
    updated: str

    @property
    def in_words(self) -> str:
        """One sentence for a reader."""
        return (
            f"{self.outcome} after {self.num_requests} requests that {self.against} had answered: changed "
            f"{100 * self.change:.2f} % of answers ({100 * self.lower:.2f} … {100 * self.upper:.2f} %), at most "
            f"{100 * self.margin:g} % may"
        )


def write_progress(root: Path, progress: GateProgress) -> None:
    """Replace what this host had left about a candidate.

    Raises:
        OSError: the store cannot be written.
    """
    folder = root / progress.model / _FOLDER
    folder.mkdir(exist_ok=True)
    with replacing(folder / f"{progress.version}@{progress.host}.json") as file:
        file.write(progress.model_dump_json().encode())


def read_progress(root: Path, model: str, version: str) -> list[GateProgress]:
    """Read what all hosts have left about a candidate; what cannot be read is left out."""
    found = []
    for path in sorted((root / model / _FOLDER).glob(f"{version}@*.json")):
        try:
            found.append(GateProgress.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    return found
