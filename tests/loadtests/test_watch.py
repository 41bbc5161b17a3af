"""Live traffic as a real Prometheus server sees it: its verdict, and the same numbers in report and dashboard."""

import re
import shutil
import time
from dataclasses import dataclass

import pytest
from prometheus_client import start_http_server
from typer.testing import CliRunner

from k8s.dashboard import make_dashboard
from loadtests.cli import app
from loadtests.measure.prometheus import PrometheusError, query
from loadtests.measure.recording import Recorder, Recording
from loadtests.measure.scraper import _read_prometheus, run_prometheus
from loadtests.measure.time_split import split_time
from loadtests.watch import look
from services.gateway.metrics import Metrics

BINARY = shutil.which("prometheus")
needs_prometheus = pytest.mark.skipif(BINARY is None, reason="prometheus is not installed (Debian: prometheus)")

GAP_S, LENGTH_S = 0.004, 5.0
ROWS, LATENCY_S, QUEUE_S = 4, 0.02, 0.005


@dataclass(frozen=True)
class Traffic:
    """What a Prometheus server has seen, and what a load generator measured of the same requests."""

    url: str
    recording: Recording
    window_s: int


def send(metrics: Metrics, recorder: Recorder) -> float:
    """Count requests of two versions as a gateway does; every third one of `1-slow` is late."""
    fast, slow = metrics.of("net", "1-fast"), metrics.of("net", "1-slow")
    start_s, number = time.perf_counter(), 0
    while (now_s := time.perf_counter() - start_s) < LENGTH_S:
        number += 1
        for model, latency_s in ((fast, LATENCY_S), (slow, LATENCY_S if number % 3 else 0.4)):
            model.count("grpc", "ok")
            model.latency.observe(latency_s)
            model.queue_time.observe(QUEUE_S)
        if number % ROWS == 0:
            fast.batch_rows.observe(ROWS)
        recorder.record(now_s, LATENCY_S)
        time.sleep(max(0.0, start_s + number * GAP_S - time.perf_counter()))
    return time.perf_counter() - start_s


@pytest.fixture(scope="module")
def traffic():
    metrics = Metrics()
    for version in (
        "1-fast",
        "1-slow",
    ):  # before the first scrape, as by readiness: a counter's first value has no rate
        model = metrics.of("net", version)
        model.count("grpc", "ok")
        model.latency.observe(LATENCY_S)
        model.queue_time.observe(QUEUE_S)
        model.batch_rows.observe(ROWS)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=metrics.registry)
    try:
        with run_prometheus(BINARY, f"http://127.0.0.1:{server.server_port}/metrics") as url:
            recorder = Recorder(started=time.time())
            duration_s = send(metrics, recorder)
            yield Traffic(url, recorder.finish(duration_s=duration_s, cpu_s=1.0), round(LENGTH_S) - 1)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@needs_prometheus
def test_live_traffic_is_judged_by_version(traffic):
    slow, fast = sorted(
        look(traffic.url, "", bound_ms=50, percentile=99, window_s=10), key=lambda live: live.version, reverse=True
    )
    assert (fast.version, fast.state) == ("1-fast", "held")
    assert fast.requests == pytest.approx(traffic.recording.requests, rel=0.25)  # PromQL extrapolates a short history
    assert (slow.version, slow.state) == ("1-slow", "slow")
    assert slow.over == pytest.approx(slow.requests / 3, rel=0.1)


@needs_prometheus
def test_the_exit_status_is_the_verdict(traffic):
    common = ["watch", "--prometheus", traffic.url, "--window", "10"]
    held = CliRunner().invoke(app, [*common, "--bound", "50", "--version", "1-fast"])
    assert (held.exit_code, "held" in held.output) == (0, True)
    missed = CliRunner().invoke(app, [*common, "--bound", "50"])
    assert (missed.exit_code, "slow" in missed.output) == (1, True)
    nothing = CliRunner().invoke(app, [*common, "--bound", "50", "--model", "other"])
    assert (nothing.exit_code, 'no request with model="other"' in nothing.output) == (2, True)


@needs_prometheus
def test_report_and_dashboard_show_the_same_numbers(traffic):
    split = split_time(traffic.recording, _read_prometheus(traffic.url), model="net", version="1-fast")
    assert split is not None
    per_s = traffic.recording.requests_per_s
    assert ask(traffic, "Requests", "{{model}}") == pytest.approx(2 * per_s, rel=0.05)
    assert ask(traffic, "Rows", "{{model}}") == pytest.approx(per_s, rel=0.05)
    assert ask(traffic, "Rows in a batch", "{{model}}") == pytest.approx(split.rows_per_batch, rel=0.01) == ROWS
    assert split.queue_ms == pytest.approx(1e3 * QUEUE_S, rel=0.01)
    (live,) = look(traffic.url, 'version="1-fast"', bound_ms=50, percentile=50, window_s=traffic.window_s)
    median_ms = traffic.recording.find_percentile_ms(50)
    assert 15 <= median_ms <= 25  # within its bucket, and so are:
    assert 15 <= 1e3 * ask(traffic, "Latency", "{{model}} p50") <= 25
    assert 15 <= live.percentile_ms <= 25
    assert 2.5 <= 1e3 * ask(traffic, "Wait for a slot", "{{model}} p50") <= 5


def ask(traffic: Traffic, title: str, legend: str) -> float:
    """Ask Prometheus what a panel of the dashboard asks, over the last seconds of the traffic."""
    (panel,) = (panel for panel in make_dashboard()["panels"] if panel["title"] == title)
    (expression,) = (target["expr"] for target in panel["targets"] if target["legendFormat"] == legend)
    expression = expression.replace("$__rate_interval", f"{traffic.window_s}s").replace("$model", "net")
    at_s = traffic.recording.started + traffic.recording.duration_s
    expression = re.sub(r"(\[\d+s\])", rf"\1 @ {at_s:.3f}", expression.replace("$namespace", ".*"))
    (sample,) = query(traffic.url, expression)
    return float(sample["value"][1])


def test_what_is_no_prometheus_is_said_to_be_none():
    with pytest.raises(PrometheusError, match="does not answer"):
        query("http://127.0.0.1:9", "up")
