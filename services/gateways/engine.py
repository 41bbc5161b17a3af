"""The engine that another gateway process runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.catalogue import ServedVariant
from services.torchserve.calls import EngineAddress, EngineCalls


class FollowedEngine(EngineCalls):
    """Calls an engine of which the leading process tells; see gateway/backends.py."""

    def __init__(
        self, num_workers: int, slots_per_worker: int, response_timeout_s: float, look_soon: Callable[[], None]
    ) -> None:
        """`look_soon` has the workers looked at by the process that runs them."""
        super().__init__(num_workers, slots_per_worker, response_timeout_s)
        self._look_soon = look_soon
        self._workers: Mapping[str, frozenset[int]] = {}

    def take(self, address: EngineAddress | None, workers: Mapping[str, frozenset[int]]) -> None:
        """Call where the engine answers now, if it does; calls under way there go on."""
        self._workers = workers
        if address != self.address:
            self._disconnect()
            if address is not None:
                self._predictions = self._connect(address)

    def ready_workers(self, variant: ServedVariant) -> frozenset[int]:
        return self._workers.get(str(variant), frozenset())

    def note_lost(self, worker: int) -> None:
        self._workers = {name: workers - {worker} for name, workers in self._workers.items()}
        self._look_soon()

    def look_soon(self) -> None:
        self._look_soon()
