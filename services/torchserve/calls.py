"""Calls to a TorchServe that runs, from the process that started it or from another one of the same user."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from services.catalogue import ServedVariant
from services.gateway.errors import NotReadyError
from services.gateway.packing import Rows, SharedAnswer
from services.torchserve.control import WorkerControl
from services.torchserve.http_client import HttpClient
from services.torchserve.large_calls import ask_by_file
from services.torchserve.predictions import Predictions, worker_lost
from services.torchserve.worker_calls import WorkerCalls

IS_STARTING = "TorchServe is starting or being restarted"
# Beyond the time after which TorchServe itself gives a worker up.
_LATER_S = 5.0


class EngineAddress(NamedTuple):
    """Where a TorchServe answers, what lets callers in, the folder of its workers' own sockets and that of what is too
    large for sockets."""

    socket: Path
    token: str
    temporary: Path
    shared: Path


class EngineCalls:
    """What a gateway asks of an engine, see gateway/backends.py; without an address it is being started."""

    def __init__(self, num_workers: int, slots_per_worker: int, response_timeout_s: float) -> None:
        """`slots_per_worker` is for variants whose workers can have several."""
        self._num_workers, self._slots_per_worker = num_workers, slots_per_worker
        self._limit_s = response_timeout_s
        self._address: EngineAddress | None = None
        self._client: HttpClient | None = None
        self._calls: WorkerCalls | None = None
        self._predictions: Predictions | None = None
        self._control: WorkerControl | None = None

    @property
    def address(self) -> EngineAddress | None:
        """Where the engine answers; None while it does not."""
        return None if self._predictions is None else self._address

    async def predict(self, variant: ServedVariant, request: bytes | Rows, call: int = 0) -> bytes | SharedAnswer:
        """Answer a packed call."""
        predictions = self._running()
        ask = partial(predictions.predict, variant, call=call)
        try:
            if isinstance(request, bytes):
                return await ask(request)
            assert self._address is not None
            return await ask_by_file(self._address.shared, request, ask)
        except NotReadyError:
            self.look_soon()
            raise

    async def converse(self, variant: ServedVariant, request: bytes, take: Callable[[bytes], None]) -> None:
        """Hold a session."""
        predictions = self._running()
        try:
            await predictions.converse(variant, request, take)
        except NotReadyError:
            self.look_soon()
            raise

    def tell(self, variant: ServedVariant, message: bytes, worker: int | None = None) -> None:
        """Tell one worker or all of a variant something during a call."""
        if self._control is not None:
            for told in (worker,) if worker is not None else self.ready_workers(variant):
                self._control.tell(told, message)

    def num_slots(self, variant: ServedVariant) -> int:
        """How many calls a variant's workers are at at once when all are well."""
        return self._num_workers * self._slots_of(variant)

    def _slots_of(self, variant: ServedVariant) -> int:
        return variant.count_slots(self._slots_per_worker)

    def ready_workers(self, variant: ServedVariant) -> frozenset[int]:
        """The process ids of a variant's workers that were ready when last looked at."""
        raise NotImplementedError

    def look_soon(self) -> None:
        """Have the workers looked at now, not within a second: a call has failed."""
        raise NotImplementedError

    def note_lost(self, worker: int) -> None:
        """Know a worker as ready no more: its connection has ended."""
        raise NotImplementedError

    def _connect(self, address: EngineAddress) -> Predictions:
        """Make what calls an engine; it is not used before `_use`."""
        self._disconnect()
        self._address = address
        self._client = HttpClient(address.socket, address.token)
        self._control = WorkerControl(address.temporary)
        self._calls = WorkerCalls(
            address.temporary, self.ready_workers, self.look_soon, self._limit_s, self.note_lost, self._slots_of
        )
        return Predictions(self._calls, self._client, timeout_s=self._limit_s + _LATER_S)

    def _disconnect(self) -> None:
        self._address = self._predictions = None
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._calls is not None:
            self._calls.close()
            self._calls = None
        if self._control is not None:
            self._control.close()
            self._control = None

    def _running(self) -> Predictions:
        if self._predictions is None:
            raise worker_lost(IS_STARTING)
        return self._predictions
