"""The open-loop generator, run as a process: MLPerf's LoadGen schedules queries, asyncio sends them over gRPC.

LoadGen calls from a thread of its own at each scheduled time and measures from that time, not from when the query
could be sent. Its trace says how late it called for each query; this module adds when the query really left.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlperf_loadgen as loadgen

from loadtests.generate.plan import OpenLoop
from loadtests.generate.sender import Query, Sender
from loadtests.generate.standing import follow_plans
from loadtests.measure.recording import RECORDINGS, Recorder, Recording

CALIBRATION_S = 0.4


class Issuer:
    """Hands LoadGen's queries to a sender; called from LoadGen's thread, which must not be held up."""

    def __init__(self, plan: OpenLoop, sender: Sender) -> None:
        self.queries: list[Query] = []
        self._sender = sender
        # Offline brings everything at once, to be sent in requests of the traffic's size.
        self._size = plan.traffic.rows_per_request if plan.scenario == "Offline" else None

    def issue(self, samples: list[Any]) -> None:
        ids = [sample.id for sample in samples]
        size = self._size or len(ids)
        queries = [Query(ids[start : start + size]) for start in range(0, len(ids), size)]
        self.queries += queries
        self._sender.submit(queries)


def complete(query: Query) -> None:
    """Tell LoadGen that a query is done, well or not."""
    loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample, 0, 0) for sample in query.ids])


def run_scenario(plan: OpenLoop) -> Recording:
    """Run one LoadGen scenario in this process."""
    is_server = plan.scenario == "Server"
    in_flight = plan.max_in_flight if plan.scenario == "Offline" else None
    sender = Sender(plan.traffic, on_finish=complete, max_in_flight=in_flight)
    # LoadGen generates the queries of a closed scenario beforehand and has to know how many will be needed.
    requests_per_s = sender.measure_requests_per_s(in_flight or 1, CALIBRATION_S)
    issuer = Issuer(plan, sender)
    warm_up_s = plan.warm_up_s if is_server else 0.0
    with tempfile.TemporaryDirectory(prefix="loadgen-") as folder:
        cpu_before_s, started, start_s = time.process_time(), time.time(), time.perf_counter()
        _run_loadgen(plan, requests_per_s, issuer.issue, Path(folder))
        duration_s = time.perf_counter() - start_s - warm_up_s
        sender.close()
        recorder = Recorder(started=started, warm_up_s=warm_up_s, rows_per_request=plan.traffic.rows_per_request)
        lateness_s = _read_issue_delays(Path(folder)) if is_server else {}
        _record(issuer.queries, recorder, start_s, lateness_s)
        return recorder.finish(
            duration_s=duration_s,
            arrivals_s=plan.measure_s if is_server else None,
            cpu_s=time.process_time() - cpu_before_s,
            loadgen_result=_read_result(Path(folder)),
        )


def _run_loadgen(plan: OpenLoop, requests_per_s: float, issue: Callable[[list[Any]], None], folder: Path) -> None:
    rows = plan.traffic.rows_per_request
    settings = loadgen.TestSettings()
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.scenario = getattr(loadgen.TestScenario, plan.scenario)
    duration_ms = round((plan.measure_s + plan.warm_up_s) * 1e3)
    settings.min_duration_ms = duration_ms
    settings.max_duration_ms = 0 if plan.scenario == "Offline" else duration_ms
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
    for number, query in enumerate(queries):
        if lateness_s:
            query.tell(recorder, query.issued_s - lateness_s[number] - start_s, start_s)
        elif query.status:
            recorder.record_error(query.status)
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


if __name__ == "__main__":
    follow_plans(OpenLoop, lambda plan: RECORDINGS.dump_json([run_scenario(plan)]))
