"""What the gateway needs of an engine. Another engine is another class with these three methods."""

from __future__ import annotations

from typing import Protocol

from services.catalogue import ServedVariant


class Backend(Protocol):
    """An engine that answers packed calls."""

    async def predict(self, variant: ServedVariant, request: bytes) -> bytes:
        """Answer one serialized ModelInferRequest with a serialized ModelInferResponse.

        Raises:
            NotReadyError: the worker or the engine went away; the call may be repeated.
            WorkerDiedError: the worker's process ended during the call.
            DeadlineError: no answer in time; repeating it would take as long again.
            InternalError: the engine answered with an error.
        """

    def ready_workers(self, variant: ServedVariant) -> frozenset[int]:
        """Tell which workers of a variant have loaded it; one that was restarted is another worker."""

    def num_workers(self, variant: ServedVariant) -> int:
        """How many workers a variant has when all are well."""
