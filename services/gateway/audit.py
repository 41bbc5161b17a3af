"""The audit log: who was refused what, and why. A flood of refusals makes few lines."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from services.logs import make_own_logger

# Who may not do what must show.
logger = make_own_logger()

LINES_PER_S = 10.0
BURST_LINES = 100.0
MAX_CHARACTERS = 128


class Audit:
    """Write refusals, at most `LINES_PER_S` a second beyond a burst; the next line says how many are missing."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._lines = BURST_LINES
        self._counted_s = now()
        self._num_left_out = 0

    def record(self, who: str, what: str, why: str, *, key: str, peer: str, request_id: str) -> None:
        """Write one refusal. `key` is a key's id: a key itself is never here, nor what was sent for one."""
        now_s = self._now()
        self._lines = min(BURST_LINES, self._lines + LINES_PER_S * (now_s - self._counted_s))
        self._counted_s = now_s
        if self._lines < 1:
            self._num_left_out += 1
            return
        self._lines -= 1
        left_out, self._num_left_out = self._num_left_out, 0
        fields = {"key": key, "peer": peer, "request": request_id, "left_out": left_out}
        logger.warning(
            "refused access",
            who=who[:MAX_CHARACTERS],
            what=what[:MAX_CHARACTERS],
            why=why,
            **{name: value for name, value in fields.items() if value},
        )
