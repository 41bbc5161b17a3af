import json
import re
import shutil
import time
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

import pytest
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import Metric
from typer.testing import CliRunner

from k8s.dashboard import make_dashboard
from loadtests.cli import app
from loadtests.measure.prometheus import PrometheusError, query
from loadtests.measure.recording import Recorder, Recording
from loadtests.measure.scraper import INTERVAL_S, _read_prometheus, run_prometheus
from loadtests.measure.time_split import split_time
from loadtests.watch import look
from services.gateway.metrics import Metrics
from tests.loadtests.conftest import run_http_server
from tests.loadtests.test_cli import loadtest as loadtest  # the fixture

BINARY = shutil.which("prometheus")
needs_prometheus = pytest.mark.skipif(BINARY is None, reason="prometheus is not installed (Debian: prometheus)")

GAP_S, LENGTH_S = 0.004, 5.0
ROWS, LATENCY_S, QUEUE_S = 4, 0.02, 0.005
WINDOW = "300"  # seconds: the traffic is in it however slow this machine is


@dataclass(frozen=True)
class Traffic:
    """What a Prometheus server has seen, and what a load generator measured of the same requests."""

    url: str
    recording: Recording
    window_s: int


class History:
    """What metrics were at several times: one scrape of it is worth scrapes at those times, none of them late."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def add(self, metrics: Metrics, at_s: float) -> None:
        for family in metrics.registry.collect():
            if family.name.startswith("millrace_"):
                known = self._families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    known.add_sample(sample.name, sample.labels, sample.value, timestamp=at_s)

    def collect(self) -> list[Metric]:
        return [*self._families.values()]


def count_traffic(started: float) -> tuple[History, Recording]:
    """Count requests of two versions as a gateway does, evenly over time; every third one of `1-slow` is late."""
    metrics, history, recorder = Metrics(), History(), Recorder(started=started)
    fast, slow = metrics.of("net", "1-fast"), metrics.of("net", "1-slow")
    for model in (fast, slow):  # before the first scrape, as by readiness: a counter's first value has no rate
        model.count("grpc", "ok")
        model.latency.observe(LATENCY_S)
        model.queue_time.observe(QUEUE_S)
        model.batch_rows.observe(ROWS)
    history.add(metrics, started)
    num_between_scrapes = round(INTERVAL_S / GAP_S)
    for number in range(1, round(LENGTH_S / GAP_S) + 1):
        for model, latency_s in ((fast, LATENCY_S), (slow, LATENCY_S if number % 3 else 0.4)):
            model.count("grpc", "ok")
            model.latency.observe(latency_s)
            model.queue_time.observe(QUEUE_S)
        if number % ROWS == 0:
            fast.batch_rows.observe(ROWS)
        recorder.record(number * GAP_S, LATENCY_S)
        if number % num_between_scrapes == 0:
            history.add(metrics, started + number * GAP_S)
    return history, recorder.finish(duration_s=LENGTH_S, cpu_s=1.0)


@pytest.fixture(scope="module")
def traffic():
    history, recording = count_traffic(time.time() - LENGTH_S)
    page = generate_latest(history)

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *given):
            pass

    with (
        run_http_server(Page) as server,
        run_prometheus(BINARY, f"http://127.0.0.1:{server.server_port}/metrics") as url,
    ):
        end_s = time.monotonic() + 60
        while not query(url, "up == 1"):  # of a busy machine's scrapes the first may have been too slow
            assert time.monotonic() < end_s, "Prometheus has scraped nothing"
            time.sleep(0.1)
        yield Traffic(url, recording, round(LENGTH_S) - 1)


@needs_prometheus
def test_live_traffic_is_judged_by_version(traffic):
    slow, fast = sorted(
        look(traffic.url, "", bound_ms=50, percentile=99, window_s=float(WINDOW)),
        key=lambda live: live.version,
        reverse=True,
    )
    assert (fast.version, fast.state) == ("1-fast", "held")
    assert fast.requests == pytest.approx(traffic.recording.requests, rel=0.15)  # PromQL extrapolates a short history
    assert (slow.version, slow.state) == ("1-slow", "slow")
    assert slow.over == pytest.approx(slow.requests / 3, rel=0.1)


@needs_prometheus
def test_the_exit_status_is_the_verdict(traffic):
    common = ["watch", "--prometheus", traffic.url, "--window", WINDOW]
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
    assert ask(traffic, "Requests", "{{model}}") == pytest.approx(2 * per_s, rel=0.01)
    assert ask(traffic, "Rows", "{{model}}") == pytest.approx(per_s, rel=0.01)
    assert ask(traffic, "Rows in a batch", "{{model}}") == pytest.approx(split.rows_per_batch, rel=0.01) == ROWS
    assert split.queue_ms == pytest.approx(1e3 * QUEUE_S, rel=0.01)
    (live,) = look(traffic.url, 'version="1-fast"', bound_ms=50, percentile=50, window_s=float(WINDOW))
    median_ms = traffic.recording.find_percentile_ms(50)
    assert 15 <= median_ms <= 25  # within its bucket, and so are:
    assert 15 <= 1e3 * ask(traffic, "Latency", "{{model}} p50") <= 25
    assert 15 <= live.percentile_ms <= 25
    assert 2.5 <= 1e3 * ask(traffic, "Wait for a slot", "{{model}} p50") <= 5


@needs_prometheus
def test_a_fleets_records_say_of_a_run_what_its_report_says(traffic):
    records = {rule["name"]: rule["query"] for rule in list_rules(traffic.url) if rule["type"] == "recording"}
    rate, wait_s = (
        evaluate(traffic, records[f"namespace_model:millrace_{name}"])
        for name in ("requests:rate5m", "queue_seconds:p99_5m")
    )
    assert 300 * rate == pytest.approx(2 * traffic.recording.requests, rel=0.15)  # extrapolated, as above
    assert 2.5 <= 1e3 * wait_s <= 1e3 * QUEUE_S
    alerts = [rule["name"] for rule in list_rules(traffic.url) if rule["type"] == "alerting"]
    assert "MillraceErrorBudgetFast" in alerts


def list_rules(url: str) -> list[dict[str, str]]:
    with urllib.request.urlopen(f"{url}/api/v1/rules") as response:
        groups = json.load(response)["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def ask(traffic: Traffic, title: str, legend: str) -> float:
    """Ask Prometheus what a panel of the dashboard asks, over the last seconds of the traffic."""
    (panel,) = (panel for panel in make_dashboard()["panels"] if panel["title"] == title)
    (expression,) = (target["expr"] for target in panel["targets"] if target["legendFormat"] == legend)
    expression = expression.replace("$__rate_interval", f"{traffic.window_s}s").replace("$model", "net")
    return evaluate(traffic, expression.replace("$namespace", ".*"))


def evaluate(traffic: Traffic, expression: str) -> float:
    """Ask what an expression was when the traffic ended."""
    at_s = traffic.recording.started + traffic.recording.duration_s
    (sample,) = query(traffic.url, re.sub(r"(\[\d+[sm]\])", rf"\1 @ {at_s:.3f}", expression))
    return float(sample["value"][1])


def test_what_is_no_url_is_a_mistake_of_the_callers(loadtest):
    status, _, err = loadtest("watch", "--prometheus", "prom:9090", "--bound", "50")
    assert (status, "'prom:9090' is no URL of a Prometheus server; expected http://host:9090" in err) == (2, True)


def test_what_is_no_prometheus_is_said_to_be_none():
    with pytest.raises(PrometheusError, match="does not answer"):
        query("http://127.0.0.1:9", "up")
