"""The settings that every pod reads (`base/settings.env`), and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOM: Final = Path(__file__).parent
SETTINGS_FILE: Final = ROOM / "base" / "settings.env"

# `preStop` in node/deployment.yaml; it counts against the grace period.
PRE_STOP_S: Final = 5
# From the end of the drain to the end of the process: TorchServe, its workers and its files go.
ENGINE_STOP_S: Final = 15


def read_settings(path: Path = SETTINGS_FILE) -> dict[str, str]:
    """Read an environment file: `NAME=value` lines and comments.

    Raises:
        ValueError: a line is neither, or a name comes twice.
    """
    settings: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not sign or name in settings:
            raise ValueError(f"{path}:{number}: each line is NAME=value, each name once; got {line!r}")
        settings[name] = value
    return settings


def drain_s(settings: Mapping[str, str]) -> float:
    """Longest time from SIGTERM to the last answer, in seconds."""
    return float(settings["MILLRACE_DRAIN_DELAY_S"]) + float(settings["MILLRACE_DRAIN_TIMEOUT_S"])


def grace_period_s(settings: Mapping[str, str]) -> int:
    """Seconds that Kubernetes gives a pod to end: all steps of the drain one after the other."""
    return math.ceil(PRE_STOP_S + drain_s(settings) + ENGINE_STOP_S)
