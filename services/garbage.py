"""Python's search for cycles, in processes that answer calls."""

from __future__ import annotations

import gc


def collect_garbage_rarely() -> None:
    """Set aside what starting made, and look for cycles a hundred times as rarely: calls make none.

    With Python's own thresholds an eighth of the front door's processor time went into looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(70_000, 20, 20)
