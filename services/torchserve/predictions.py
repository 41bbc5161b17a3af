"""Packed inference and sessions: by workers' own sockets, or through TorchServe to those that have none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from model_store.call_frames import Frame
from services.catalogue import ServedVariant
from services.gateway.errors import MODEL_FAILED, DeadlineError, InternalError, NotReadyError, WorkerDiedError
from services.torchserve.http_client import HttpAnswer, HttpClient
from services.torchserve.session_client import receive_pieces
from services.torchserve.worker_calls import WorkerCalls, WorkerEndedError

_Answer = TypeVar("_Answer")


class Predictions:
    """Calls to a variant's workers.

    Releases made before workers had sockets take them through TorchServe: there the last part of the path reaches the
    handler as the header `url_path` and tells it what the body is.
    """

    def __init__(self, workers: WorkerCalls, client: HttpClient, timeout_s: float) -> None:
        self._workers = workers
        self._client = client
        self._timeout_s = timeout_s

    async def predict(self, variant: ServedVariant, request: bytes, call: int = 0) -> bytes:
        """Send one serialized ModelInferRequest to a worker and return its serialized ModelInferResponse.

        Raises:
            NotReadyError: no worker is there, nor comes.
            WorkerDiedError: the worker died during the call.
            DeadlineError: no answer in time; the worker is started anew.
            InternalError: TorchServe answered with an error.
        """
        if variant.manifest.own_socket:
            return await _translate(self._workers.ask(variant, Frame.CALL, request, call))
        what = f"packed/{call}" if call else "packed"
        path = f"/predictions/{variant.model}/{variant.version}/{what}"
        return await _read(self._client.request("POST", path, request, timeout_s=self._timeout_s))

    async def converse(self, variant: ServedVariant, request: bytes, take: Callable[[bytes], None]) -> None:
        """Hold a session: records go to a worker and come back in pieces; returns when it ends.

        Raises:
            GatewayError: as `predict`.
        """
        if variant.manifest.own_socket:
            take(await _translate(self._workers.ask(variant, Frame.SESSION, request, take=take)))
            return
        path = f"/predictions/{variant.model}/{variant.version}/session"
        await _read(receive_pieces(self._client, path, request, take, self._timeout_s))


async def _translate(answering: Awaitable[_Answer]) -> _Answer:
    try:
        return await answering
    except WorkerEndedError as error:
        raise worker_lost(str(error), WorkerDiedError) from None
    except TimeoutError as error:
        text = "the model did not answer in time; send fewer rows at once"
        raise DeadlineError(text, cause=str(error)) from None
    except OSError as error:
        raise worker_lost(f"{type(error).__name__}: {error}") from None


async def _read(answering: Awaitable[HttpAnswer]) -> bytes:
    answer = await _translate(answering)
    if answer.status == 200:
        return answer.body
    text = answer.body.decode(errors="replace")
    if "Worker died" in text:  # 500, or 507 when the kernel killed it
        raise worker_lost("the worker process died", WorkerDiedError)
    raise InternalError(MODEL_FAILED, cause=f"TorchServe answered {answer.status}: {text[:500]}")


def worker_lost(cause: str, kind: type[NotReadyError] = NotReadyError) -> NotReadyError:
    """Make the error of a call that no worker could answer."""
    return kind(
        "no worker of this model can answer now: it is starting or being restarted; try again in some seconds",
        cause=cause,
    )
