"""The end of a worker whose call takes too long: nothing else would end one that is lost in a library.

A process has one timer, and a worker may be at several calls: it is set to the one that ends first.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Hashable

_SOON_S = 0.001  # a timer set to 0 is off


class Alarm:
    """End this process by SIGALRM when something that was begun has not ended in time."""

    def __init__(self, limit_s: float) -> None:
        """Allow each so many seconds; 0: as many as it takes."""
        self._limit_s = limit_s
        self._ends_s: dict[Hashable, float] = {}
        self._changing = threading.Lock()

    def begin(self, what: Hashable) -> None:
        """Allow something the whole time from now on, whether it was begun before or not."""
        if self._limit_s:
            with self._changing:
                self._ends_s[what] = time.monotonic() + self._limit_s
                self._set()

    def end(self, what: Hashable) -> None:
        """Be told that it has ended."""
        if self._limit_s:
            with self._changing:
                del self._ends_s[what]
                self._set()

    def _set(self) -> None:
        left_s = min(self._ends_s.values()) - time.monotonic() if self._ends_s else None
        signal.setitimer(signal.ITIMER_REAL, 0 if left_s is None else max(left_s, _SOON_S))
