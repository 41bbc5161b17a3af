"""The other gateway processes of a server, as far as what is said here must hold for all of them."""

from __future__ import annotations

from typing import Any, Protocol

from model_store.live_gate import GateProgress
from services.catalogue import ServedVariant
from services.gateway.recent_errors import RecentError


class Peers(Protocol):
    """What one process asks so that its answer is the whole server's."""

    async def list_statistics(self, name: str, version: str) -> list[dict[str, Any]]:
        """What all processes have answered, as `Gateway.list_statistics`."""

    async def list_errors(self) -> list[RecentError]:
        """The last refusals of all processes, newest first."""

    async def list_samples(self, after: int) -> list[dict[str, Any]]:
        """What the console remembers of all processes, newer than sample number `after`."""

    async def report_gates(self) -> list[GateProgress]:
        """What is known of candidates."""

    async def drain(self, variant: ServedVariant, timeout_s: float) -> None:
        """Wait until no other process has work for a version that callers do not find any more."""
