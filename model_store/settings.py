"""Where the store and its keys are, unless told otherwise."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_ROOT = Path("model_store/archives")


def keys_folder() -> Path:
    """Folder of the keys: MILLRACE_KEYS, or `~/.config/millrace/keys`."""
    given = os.environ.get("MILLRACE_KEYS")
    return Path(given) if given else Path.home() / ".config" / "millrace" / "keys"
