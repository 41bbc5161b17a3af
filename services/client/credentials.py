"""What a caller shows to be let in."""

from __future__ import annotations

import os

KEY_VARIABLE = "MILLRACE_API_KEY"
KEY_HEADER = "x-api-key"


def read_api_key() -> str:
    """Read the key that this process's calls carry; '' without one."""
    return os.environ.get(KEY_VARIABLE, "")


def make_headers(api_key: str | None = None) -> dict[str, str]:
    """Headers, or gRPC metadata, that carry a key; that of the environment if none is given, and none if it is ''."""
    key = read_api_key() if api_key is None else api_key
    return {KEY_HEADER: key} if key else {}
