"""Engines behind the gateway. Another engine is another class with these three methods."""

from __future__ import annotations

from typing import Protocol

from services.catalogue import ServedVariant
from services.torchserve.predictions import EngineFailedError, EngineTimeoutError, EngineUnavailableError
from services.torchserve.server import TorchServe


class BackendError(Exception):
    """A packed call failed.

    BackendError
    ├── BackendLostError      the worker or the engine went away: the call may be repeated
    ├── BackendTimeoutError   no answer in time: repeating it would take as long again
    └── BackendBrokenError    the engine answered with an error; the text is for the log
    """


class BackendLostError(BackendError):
    """The worker or the engine went away."""


class BackendTimeoutError(BackendError):
    """No answer in time."""


class BackendBrokenError(BackendError):
    """The engine answered with an error."""


class Backend(Protocol):
    """An engine that answers packed calls."""

    async def predict(self, variant: ServedVariant, request: bytes) -> bytes:
        """Answer one serialized ModelInferRequest with a serialized ModelInferResponse.

        Raises:
            BackendError: see there.
        """

    def ready_workers(self, variant: ServedVariant) -> int:
        """How many workers of a variant can answer now."""

    def num_workers(self, variant: ServedVariant) -> int:
        """How many workers a variant has when all are well."""


class TorchServeBackend:
    """TorchServe, launched and supervised by this process."""

    def __init__(self, torchserve: TorchServe, num_workers: int) -> None:
        self._torchserve = torchserve
        self._num_workers = num_workers

    async def predict(self, variant: ServedVariant, request: bytes) -> bytes:
        predictions = self._torchserve.predictions
        if predictions is None:
            raise BackendLostError("TorchServe is starting or being restarted")
        try:
            return await predictions.predict(variant.model, variant.version, request)
        except EngineUnavailableError as error:
            raise BackendLostError(str(error)) from error
        except EngineTimeoutError as error:
            raise BackendTimeoutError(str(error)) from error
        except EngineFailedError as error:
            raise BackendBrokenError(str(error)) from error

    def ready_workers(self, variant: ServedVariant) -> int:
        return self._torchserve.ready_workers(variant)

    def num_workers(self, variant: ServedVariant) -> int:
        return self._num_workers
