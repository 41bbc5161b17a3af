"""Packed inference by a running TorchServe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.gateway.errors import MODEL_FAILED, DeadlineError, InternalError, NotReadyError, WorkerDiedError
from services.torchserve.http_client import HttpAnswer, HttpClient
from services.torchserve.session_client import receive_pieces


class Predictions:
    """Packed inference and sessions over TorchServe's inference socket.

    The last part of the path reaches the handler as the header `url_path` and tells it what the body is.
    """

    def __init__(self, client: HttpClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def predict(self, model: str, version: str, request: bytes, call: int = 0) -> bytes:
        """Send one serialized ModelInferRequest to a worker and return its serialized ModelInferResponse.

        Raises:
            NotReadyError: TorchServe is not there.
            WorkerDiedError: the worker died during the call.
            DeadlineError: no answer in time; TorchServe restarts the worker.
            InternalError: TorchServe answered with an error.
        """
        what = f"packed/{call}" if call else "packed"
        path = f"/predictions/{model}/{version}/{what}"
        return await _read(self._client.request("POST", path, request, timeout_s=self._timeout_s))

    async def converse(self, model: str, version: str, request: bytes, take: Callable[[bytes], None]) -> None:
        """Hold a session: records go to a worker and come back in pieces; returns when it ends.

        Raises:
            GatewayError: as `predict`.
        """
        path = f"/predictions/{model}/{version}/session"
        await _read(receive_pieces(self._client, path, request, take, self._timeout_s))


async def _read(answering: Awaitable[HttpAnswer]) -> bytes:
    try:
        answer = await answering
    except TimeoutError as error:
        text = "the model did not answer in time; send fewer rows at once"
        raise DeadlineError(text, cause=str(error)) from None
    except OSError as error:
        raise worker_lost(f"{type(error).__name__}: {error}") from None
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
