"""Where a release comes from: the commit and the command."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def describe_source(seed: int | None) -> dict[str, Any]:
    """Fields of the manifest's Source; the commit is '' outside a git checkout."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return {"git_commit": _current_commit(), "command": command, "seed": seed}


def _current_commit() -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    here = Path(__file__).parent
    return subprocess.run(command, cwd=here, capture_output=True, text=True, check=False).stdout.strip()
