"""What a client sees that sends as soon as a starting server says that it is ready."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
from grpc_health.v1 import health_pb2

from model_store.open_inference import SERVICE, messages

READY_S = 150
LOOK_S = 0.5
POLL_S = 0.01  # every 2 ms, asking alone took a sixth of a core from the server that starts


@dataclass
class Start:
    """The first answer of each model, and what the other ways of asking said while the first one said otherwise."""

    first_answers: dict[str, str] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    num_looks: int = 0


def watch_start(
    process: subprocess.Popen[bytes], addresses: Mapping[str, str], requests: Mapping[str, bytes], log: Path
) -> Start:
    """Ask a starting server in every way whether it is ready; as soon as it is, send each model's request."""
    start = Start()
    end_s = time.monotonic() + READY_S
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(timeout=10))
        channel = stack.enter_context(grpc.insecure_channel(addresses["grpc"]))
        ask = _Questions(client, channel, addresses, list(requests))
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        next_look_s = 0.0
        while not ask.is_ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end_s, log.read_text()
            if time.monotonic() > next_look_s:
                # What says ready before the first way does has to be overtaken by it at once, else it contradicts it.
                said = [name for name, is_ready in ask.other_ways() if is_ready]
                if said and not ask.is_ready():
                    start.contradictions.append(f"ready too early: {said}")
                start.num_looks += 1
                next_look_s = time.monotonic() + LOOK_S
            time.sleep(POLL_S)
        for model, request in requests.items():
            try:
                infer(request, timeout=30)
                start.first_answers[model] = "OK"
            except grpc.RpcError as error:
                start.first_answers[model] = f"{error.code().name}: {error.details()}"
        start.contradictions += [f"not ready yet: {name}" for name, is_ready in ask.other_ways() if not is_ready]
    return start


class _Questions:
    """All ways of asking for readiness."""

    def __init__(
        self, client: httpx.Client, channel: grpc.Channel, addresses: Mapping[str, str], models: list[str]
    ) -> None:
        self._client, self._channel, self._addresses, self._models = client, channel, addresses, models

    def is_ready(self) -> bool:
        return self._get_status("/v2/health/ready") == 200

    def other_ways(self) -> list[tuple[str, bool]]:
        pool = messages()
        answers = [
            ("ServerReady", self._call("ServerReady", pool.ServerReadyRequest(), pool.ServerReadyResponse, "ready")),
            ("grpc.health", self._check_health()),
        ]
        for model in self._models:
            request = pool.ModelReadyRequest(name=model)
            answers += [
                (f"ModelReady {model}", self._call("ModelReady", request, pool.ModelReadyResponse, "ready")),
                (f"REST ready {model}", self._get_status(f"/v2/models/{model}/ready") == 200),
            ]
        return answers + self._read_index() + self._read_gauges()

    def _get_status(self, path: str) -> int:
        try:
            return self._client.get(self._addresses["http"] + path).status_code
        except httpx.TransportError:
            return 0

    def _call(self, method: str, request, response, field_name: str) -> bool:
        call = self._channel.unary_unary(f"/{SERVICE}/{method}", type(request).SerializeToString, response.FromString)
        try:
            return getattr(call(request, timeout=5), field_name)
        except grpc.RpcError:
            return False

    def _check_health(self) -> bool:
        call = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        try:
            return call(health_pb2.HealthCheckRequest(), timeout=5).status == health_pb2.HealthCheckResponse.SERVING
        except grpc.RpcError:
            return False

    def _read_index(self) -> list[tuple[str, bool]]:
        try:
            rows = self._client.post(self._addresses["http"] + "/v2/repository/index").json()
        except httpx.TransportError:
            return []
        return [(f"index {row['name']}", row["state"] == "READY") for row in rows]

    def _read_gauges(self) -> list[tuple[str, bool]]:
        try:
            text = self._client.get(self._addresses["metrics"]).text
        except httpx.TransportError:
            return []
        return [(line, line.endswith(" 1.0")) for line in text.splitlines() if line.startswith("millrace_model_ready{")]
