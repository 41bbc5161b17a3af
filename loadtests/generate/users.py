"""Locust users for gRPC and REST; what they send comes from the store, so they fit every model.

Importing this module makes the process cooperative (gevent), as Locust needs: import it only where Locust runs.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterator, Sequence

from locust import FastHttpUser, User, constant, task  # patches the standard library: stays before grpc

import grpc  # isort: skip
import grpc.experimental.gevent  # isort: skip

from model_store.open_inference import INFER_PATH
from services.client.credentials import make_headers
from services.client.rest_wire import RestBody
from services.client.tls import NO_TLS

grpc.experimental.gevent.init_gevent()

TIMEOUT_S = 60.0


class CallError(Exception):
    """A call that failed, named by its status: request ids in the text would make every error a kind of its own."""


class GrpcUser(User):
    """Sends the next request as soon as the last one is answered."""

    abstract = True
    wait_time = constant(0)
    label = "infer"
    tls = NO_TLS
    bodies: Sequence[bytes] = ()

    def on_start(self) -> None:
        self._bodies: Iterator[bytes] = itertools.cycle(self.bodies)
        options = (("grpc.max_receive_message_length", -1),)
        self._channel = self.tls.open_channel(grpc, str(self.host), options)
        infer = self._channel.unary_unary(INFER_PATH, None, None)
        self._infer = functools.partial(infer, metadata=tuple(make_headers().items()))

    def on_stop(self) -> None:
        self._channel.close()

    @task
    def infer(self) -> None:
        """Make one call and report it to Locust."""
        body = next(self._bodies)
        error: Exception | None = None
        size_bytes = 0
        start_s = time.perf_counter()
        try:
            size_bytes = len(self._infer(body, timeout=TIMEOUT_S))
        except grpc.RpcError as failure:
            error = CallError(failure.code().name)
        self.environment.events.request.fire(
            request_type="gRPC",
            name=self.label,
            response_time=(time.perf_counter() - start_s) * 1e3,
            response_length=size_bytes,
            exception=error,
            context={},
        )


class RestUser(FastHttpUser):
    """The same over OIP REST with the binary tensor extension."""

    abstract = True
    wait_time = constant(0)
    network_timeout = TIMEOUT_S
    insecure = False
    label = "infer"
    path = ""
    bodies: Sequence[RestBody] = ()

    def on_start(self) -> None:
        self._bodies: Iterator[RestBody] = itertools.cycle(self.bodies)

    @task
    def infer(self) -> None:
        """Make one call; Locust's own client reports it."""
        request = next(self._bodies)
        headers = request.headers | make_headers()
        self.client.post(self.path, data=request.body, headers=headers, name=self.label)  # type: ignore[arg-type]


def name_failure(error: BaseException) -> str:
    """Short name of a failed request: the gRPC status, the HTTP status, or the exception's class."""
    if isinstance(error, CallError):
        return str(error)
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return f"HTTP {status}" if status else type(error).__name__
