"""Calls to a running TorchServe: packed inference, and the state of its workers."""

from __future__ import annotations

import json

from services.torchserve.http_client import HttpClient


class EngineError(Exception):
    """TorchServe could not answer a call.

    EngineError
    ├── EngineUnavailableError   TorchServe is not there, or its worker died: the call may be repeated
    ├── EngineTimeoutError       no answer in time; the worker is being restarted
    └── EngineFailedError        TorchServe answered with an error; the text is for the log
    """


class EngineUnavailableError(EngineError):
    """TorchServe is not there, or the worker died during the call."""


class EngineTimeoutError(EngineError):
    """No answer in time."""


class EngineFailedError(EngineError):
    """TorchServe answered with an error."""


class Predictions:
    """Packed inference over TorchServe's inference socket."""

    def __init__(self, client: HttpClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def predict(self, model: str, version: str, request: bytes) -> bytes:
        """Send one serialized ModelInferRequest to a worker and return its serialized ModelInferResponse.

        The last part of the path reaches the handler as the header `url_path` and tells it what the body is.

        Raises:
            EngineError: see there.
        """
        try:
            answer = await self._client.request(
                "POST", f"/predictions/{model}/{version}/packed", request, timeout_s=self._timeout_s
            )
        except TimeoutError as error:
            raise EngineTimeoutError(str(error)) from None
        except OSError as error:
            raise EngineUnavailableError(f"{type(error).__name__}: {error}") from None
        if answer.status == 200:
            return answer.body
        text = answer.body.decode(errors="replace")
        if "Worker died" in text:  # 500, or 507 when the kernel killed it
            raise EngineUnavailableError("the worker process died")
        raise EngineFailedError(f"TorchServe answered {answer.status}: {text[:500]}")


async def count_ready_workers(management: HttpClient, model: str, version: str) -> int:
    """Ask TorchServe's DescribeModel how many workers of a model version have loaded it.

    Raises:
        OSError: TorchServe is not there.
    """
    answer = await management.request("GET", f"/models/{model}/{version}")
    if answer.status != 200:
        return 0
    (description,) = json.loads(answer.body)
    return sum(worker["status"] == "READY" for worker in description["workers"])
