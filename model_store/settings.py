"""Where the store, its keys and a server are, unless told otherwise."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_ROOT = Path("model_store/archives")
DEFAULT_REST_PORT, DEFAULT_GRPC_PORT = 8000, 8001  # as Triton has them


def keys_folder() -> Path:
    """Folder of the keys: MILLRACE_KEYS, or `~/.config/millrace/keys`."""
    given = os.environ.get("MILLRACE_KEYS")
    return Path(given) if given else Path.home() / ".config" / "millrace" / "keys"
