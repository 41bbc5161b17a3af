"""What the gateway needs of an engine. Another engine is another class with these methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from services.catalogue import ServedVariant
from services.gateway.packing import Rows, SharedAnswer


class Backend(Protocol):
    """An engine that answers packed calls; sessions and what is told during calls are for variants that stream."""

    async def predict(self, variant: ServedVariant, request: bytes | Rows, call: int = 0) -> bytes | SharedAnswer:
        """Answer one serialized ModelInferRequest with a serialized ModelInferResponse.

        `Rows` come to variants that have `shared_memory` only, where they are too large to be joined.
        `call` is a number by which its rows may be told about meanwhile; 0: they will not be.

        Raises:
            NotReadyError: the worker or the engine went away; the call may be repeated.
            WorkerDiedError: the worker's process ended during the call.
            DeadlineError: no answer in time; repeating it would take as long again.
            InternalError: the engine answered with an error.
        """

    async def converse(self, variant: ServedVariant, request: bytes, take: Callable[[bytes], None]) -> None:
        """Hold a session: send records of model_store/session_records.py, and hand over those that come back, in any
        pieces, until its streams have ended.

        Raises:
            GatewayError: as `predict`; what was handed over before it holds.
        """

    def tell(self, variant: ServedVariant, message: bytes, worker: int | None = None) -> None:
        """Send records to one worker, by its process id, or to all of a variant, whatever they are doing."""

    def ready_workers(self, variant: ServedVariant) -> frozenset[int]:
        """Tell which workers of a variant have loaded it; one that was restarted is another worker."""

    def num_slots(self, variant: ServedVariant) -> int:
        """How many calls a variant's workers are at at once when all are well."""
