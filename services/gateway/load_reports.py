"""Load reports with answers, for balancers that send less to those who are busier.

Sources: ORCA as Envoy and gRPC read it (envoyproxy/envoy, orca_parser; grpc/proposal, A51).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_store.protobuf import load_proto
from services.grpc_server import CallContext, Proceed

HEADER, TRAILER = b"endpoint-load-metrics", b"endpoint-load-metrics-bin"
# Measured anew so often, and smoothed over so long: calls to workers may take seconds.
PERIOD_S = 0.25
MEMORY_S = 5.0


class Load(NamedTuple):
    """Sums since the start, and what is now; `busy_s` are the seconds of all calls to workers together."""

    busy_s: float
    num_successes: int
    num_failures: int
    num_slots: int
    waiting_rows: int


class LoadReports:
    """What a server says of its load, made at most every quarter of a second."""

    def __init__(self, read_load: Callable[[], Load], now: Callable[[], float] = monotonic) -> None:
        self._read_load = read_load
        self._now = now
        self._message = load_proto(Path(__file__).with_name("load_report.proto")).OrcaLoadReport
        self._measured_s = now()
        self._load = read_load()
        self._utilization = self._rps = self._eps = 0.0
        self._encode()

    @property
    def header(self) -> tuple[bytes, bytes]:
        """The report as a header of an HTTP answer."""
        self._refresh()
        return HEADER, self._json

    @property
    def trailer(self) -> tuple[bytes, bytes]:
        """The report as a trailer of a gRPC call."""
        self._refresh()
        return TRAILER, self._binary

    def _refresh(self) -> None:
        seconds = self._now() - self._measured_s
        if seconds < PERIOD_S:
            return
        before, load = self._load, self._read_load()
        self._measured_s += seconds
        self._load = load
        keep = math.exp(-seconds / MEMORY_S)
        busy = (load.busy_s - before.busy_s) / (seconds * max(1, load.num_slots))
        self._utilization += (1 - keep) * (busy - self._utilization)
        self._rps += (1 - keep) * ((load.num_successes - before.num_successes) / seconds - self._rps)
        self._eps += (1 - keep) * ((load.num_failures - before.num_failures) / seconds - self._eps)
        self._encode()

    def _encode(self) -> None:
        fields = {
            "application_utilization": round(self._utilization, 4),
            "rps_fractional": round(self._rps + self._eps, 3),
            "eps": round(self._eps, 3),
            "named_metrics": {"waiting_rows": float(self._load.waiting_rows)},
        }
        self._json = b"JSON " + json.dumps(fields, separators=(",", ":")).encode()
        self._binary = base64.b64encode(self._message(**fields).SerializeToString())


class LoadTrailers:
    """Interceptor: puts the report into the trailers of every call."""

    def __init__(self, reports: LoadReports) -> None:
        self._reports = reports

    async def __call__(self, context: CallContext, proceed: Proceed) -> None:
        context.trailing_metadata.append(self._reports.trailer)
        await proceed()


class LoadHeaders:
    """ASGI middleware: puts the report into the headers of every answer."""

    def __init__(self, app: ASGIApp, reports: LoadReports) -> None:
        self._app = app
        self._reports = reports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_report(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._reports.header]
            await send(message)

        await self._app(scope, receive, send_with_report)
