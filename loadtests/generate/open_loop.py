"""The open-loop generator, run as a process: MLPerf's LoadGen schedules queries, asyncio sends them over gRPC.

LoadGen calls from a thread of its own at each scheduled time and measures from that time, not from when the query
could be sent. Its trace says how late it called for each query; this module adds when the query really left.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import mlperf_loadgen as loadgen
import uvloop

from loadtests.generate.generator import RECORDINGS, OpenLoop
from loadtests.generate.payload import cut_batches, make_grpc_bodies, read_rows
from loadtests.measure.recording import Recorder, Recording
from model_store.open_inference import SERVICE

TIMEOUT_S = 60.0
NUM_WINDOWS = 3
WINDOW_S = 2.0
CALIBRATION_S = 0.4


class Query:
    """Samples that LoadGen wants answered together."""

    __slots__ = ("finished_s", "ids", "issued_s", "number", "sent_s", "status")

    def __init__(self, number: int, ids: list[int]) -> None:
        self.number = number
        self.ids = ids
        self.issued_s = time.perf_counter()
        self.sent_s = self.finished_s = 0.0
        self.status = ""


class Sender:
    """Sends queries over one gRPC channel in an event loop of its own."""

    def __init__(self, plan: OpenLoop, bodies: list[bytes]) -> None:
        self.plan = plan
        self.queries: list[Query] = []
        self._bodies = itertools.cycle(bodies)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result()

    def issue(self, samples: list[Any]) -> None:
        """Take a query from LoadGen; called from its thread, which must not be held up."""
        ids = [sample.id for sample in samples]
        size = self.plan.traffic.rows_per_request
        if self.plan.scenario != "Offline":
            size = len(ids)
        queries = [
            Query(len(self.queries) + index, ids[start : start + size])
            for index, start in enumerate(range(0, len(ids), size))
        ]
        self.queries += queries
        self._loop.call_soon_threadsafe(self._start, queries)

    def calibrate(self, in_flight: int) -> float:
        """Measure how many requests a second are answered with this many in flight; also warms up.

        LoadGen generates the queries of a closed scenario beforehand and has to know how many will be needed.
        """
        return asyncio.run_coroutine_threadsafe(self._calibrate(in_flight), self._loop).result()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._channel.close(None), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _connect(self) -> None:
        options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
        self._channel = grpc.aio.insecure_channel(self.plan.traffic.url, options=options)
        self._infer = self._channel.unary_unary(f"/{SERVICE}/ModelInfer", None, None)
        self._slots = asyncio.Semaphore(self.plan.max_in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        await self._infer(next(self._bodies), timeout=TIMEOUT_S)

    async def _calibrate(self, in_flight: int) -> float:
        start_s = time.perf_counter()
        counts = await asyncio.gather(*(self._call_until(start_s + CALIBRATION_S) for _ in range(in_flight)))
        return sum(counts) / (time.perf_counter() - start_s)

    async def _call_until(self, end_s: float) -> int:
        count = 0
        while count == 0 or time.perf_counter() < end_s:
            await self._infer(next(self._bodies), timeout=TIMEOUT_S)
            count += 1
        return count

    def _start(self, queries: list[Query]) -> None:
        send = self._send_when_free if self.plan.scenario == "Offline" else self._send
        for query in queries:
            task = self._loop.create_task(send(query))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_when_free(self, query: Query) -> None:
        async with self._slots:
            await self._send(query)

    async def _send(self, query: Query) -> None:
        query.sent_s = time.perf_counter()
        try:
            await self._infer(next(self._bodies), timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            query.status = error.code().name
        query.finished_s = time.perf_counter()
        loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample, 0, 0) for sample in query.ids])


def run_scenario(plan: OpenLoop) -> Recording:
    """Run one LoadGen scenario in this process."""
    traffic = plan.traffic
    batches = cut_batches(read_rows(traffic.examples_path, traffic.input_names), traffic.rows_per_request)
    sender = Sender(plan, make_grpc_bodies(traffic.model, traffic.version, batches, traffic.outputs))
    requests_per_s = sender.calibrate(plan.max_in_flight if plan.scenario == "Offline" else 1)
    with tempfile.TemporaryDirectory(prefix="loadgen-") as folder:
        cpu_before_s, started, start_s = _cpu_s(), time.time(), time.perf_counter()
        _run_loadgen(plan, requests_per_s, sender.issue, Path(folder))
        duration_s = time.perf_counter() - start_s
        sender.close()
        recorder = Recorder(
            started=started,
            duration_s=duration_s,
            num_windows=max(NUM_WINDOWS, int(duration_s / WINDOW_S)),
            rows_per_request=plan.traffic.rows_per_request,
        )
        lateness_s = _read_issue_delays(Path(folder)) if plan.scenario == "Server" else {}
        _record(sender.queries, recorder, start_s, lateness_s)
        result = _read_result(Path(folder))
        return recorder.finish(duration_s=duration_s, cpu_s=_cpu_s() - cpu_before_s, loadgen_result=result)


def _run_loadgen(plan: OpenLoop, requests_per_s: float, issue: Callable[[list[Any]], None], folder: Path) -> None:
    rows = plan.traffic.rows_per_request
    settings = loadgen.TestSettings()
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.scenario = getattr(loadgen.TestScenario, plan.scenario)
    settings.min_duration_ms = round(plan.measure_s * 1e3)
    settings.max_duration_ms = 0 if plan.scenario == "Offline" else round(plan.measure_s * 1e3)
    settings.min_query_count = 1
    settings.schedule_rng_seed = settings.sample_index_rng_seed = settings.qsl_rng_seed = plan.seed
    settings.server_target_qps = plan.rate
    # Offline sends 1.1 times what it expects; half the latency expected gives the streams queries to spare.
    settings.offline_expected_qps = requests_per_s * rows / 1.1
    settings.single_stream_expected_latency_ns = round(0.5e9 / requests_per_s)
    settings.multi_stream_expected_latency_ns = round(0.5e9 / requests_per_s)
    settings.server_target_latency_ns = round(plan.bound_ms * 1e6)
    settings.multi_stream_samples_per_query = rows
    logs = loadgen.LogSettings()
    logs.log_output.outdir = str(folder)
    logs.enable_trace = plan.scenario == "Server"
    target = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(64, 64, lambda samples: None, lambda samples: None)
    loadgen.StartTestWithLogSettings(target, library, settings, logs)
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(target)


def _record(queries: list[Query], recorder: Recorder, start_s: float, lateness_s: dict[int, float]) -> None:
    for query in queries:
        if query.status:
            recorder.record_error(query.status)
        elif lateness_s:
            scheduled_s = query.issued_s - lateness_s[query.number]
            recorder.record_scheduled(scheduled_s - start_s, query.sent_s - start_s, query.finished_s - start_s)
        else:
            recorder.record(query.finished_s - start_s, query.finished_s - query.sent_s)


def _read_issue_delays(folder: Path) -> dict[int, float]:
    """Read from LoadGen's trace how long after its scheduled time each query was issued, in seconds by query number."""
    delays_s: dict[int, float] = {}
    with (folder / "mlperf_log_trace.json").open() as trace:
        for line in trace:
            if line.startswith('{"name":"Sample","cat":"default","ph":"b"'):
                event = json.loads(line.rstrip().rstrip(","))["args"]
                delays_s[event["query_seq"]] = event["issue_start_ns"] / 1e9
    return delays_s


def _read_result(folder: Path) -> str:
    for line in (folder / "mlperf_log_summary.txt").read_text().splitlines():
        if line.startswith("Result is"):
            return line.partition(":")[2].strip()
    return ""


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    try:
        recording = run_scenario(OpenLoop.model_validate_json(sys.argv[1]))
    except grpc.aio.AioRpcError as error:
        sys.exit(f"the first requests failed: {error.code().name}: {error.details()}")
    Path(sys.argv[2]).write_bytes(RECORDINGS.dump_json([recording]))
