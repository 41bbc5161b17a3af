"""Why a variant is not made."""

from __future__ import annotations


class LeftOutError(Exception):
    """A variant makes no sense here; the text says why."""
