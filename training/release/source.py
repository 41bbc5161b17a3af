"""Where a release comes from: the commit and the command."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from training.engine.runs import current_commit


def describe_source(seed: int | None) -> dict[str, Any]:
    """Fields of the manifest's Source; the commit is '' outside a git checkout."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {"git_commit": current_commit(), "command": command, "seed": seed}
