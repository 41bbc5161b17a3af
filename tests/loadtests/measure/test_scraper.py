import shutil
import time
from http.server import BaseHTTPRequestHandler

import pytest

from loadtests.measure.metrics import Metrics, Series
from loadtests.measure.recording import Recorder
from loadtests.measure.scraper import scrape
from loadtests.measure.time_split import split_time
from tests.loadtests.conftest import run_http_server


class Endpoint:
    """A metrics endpoint whose counter stands at `value`."""

    def __init__(self) -> None:
        self.value = 100
        self.url = ""
        self._num_scrapes = 0

    def write_page(self) -> bytes:
        self._num_scrapes += 1
        return f'# TYPE work_total counter\nwork_total{{model="m"}} {self.value}\n# TYPE idle gauge\nidle 1\n'.encode()

    def wait_for_a_scrape(self) -> None:
        """Wait until a scrape has begun and ended."""
        wanted = self._num_scrapes + 2
        end_s = time.monotonic() + 60
        while self._num_scrapes < wanted:
            assert time.monotonic() < end_s, "nobody scrapes"
            time.sleep(0.02)


@pytest.fixture
def endpoint():
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(endpoint.write_page())

        def log_message(self, *arguments):
            pass

    with run_http_server(Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_port}/metrics"
        yield endpoint


@pytest.mark.parametrize(
    "installed",
    [False, pytest.param(True, marks=pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus"))],
)
def test_increases_between_two_moments_are_seen(endpoint, installed, monkeypatch):
    if not installed:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    with scrape(endpoint.url) as collect:
        endpoint.wait_for_a_scrape()
        start = time.time()
        endpoint.wait_for_a_scrape()
        endpoint.value += 150
        endpoint.wait_for_a_scrape()
        end = time.time()
        endpoint.wait_for_a_scrape()
        endpoint.value += 1000
        metrics = collect()
    assert metrics.increase("work_total", start, end, model="m") == pytest.approx(150)
    assert metrics.increase("work_total", start, end, model="other") == 0
    assert metrics.source == ("Prometheus" if installed else "embedded scraper")


def test_a_server_that_is_gone_leaves_a_gap_and_no_error(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with scrape("http://127.0.0.1:1/metrics") as collect:
        assert collect().series == []


def test_a_restarted_counter_counts_from_zero_again():
    series = Series("a", {}, [0, 1, 2, 3], [100, 150, 20, 40])
    assert series.increase(0, 3) == 90
    assert series.increase(0.5, 1) == 25


def make_metrics(**values):
    names = {"request": "millrace_request_seconds", "queue": "millrace_queue_seconds", "batch": "millrace_batch_rows"}
    series = []
    for key, (total, count) in values.items():
        labels = {"model": "m", "version": "1-a"}
        series.append(Series(f"{names[key]}_sum", labels, [0.0, 10.0], [0.0, total]))
        series.append(Series(f"{names[key]}_count", labels, [0.0, 10.0], [0.0, count]))
    return Metrics(series, "test")


def record():
    recorder = Recorder(started=0.0)
    for index in range(1000):
        recorder.record(index / 100, 0.010)
    return recorder.finish(duration_s=10.0, cpu_s=1.0)


def test_time_is_split_into_queue_compute_and_transport():
    metrics = make_metrics(request=(8.0, 1000), queue=(3.0, 1000), batch=(1000, 250))
    split = split_time(record(), metrics, model="m", version="1-a")
    assert (split.queue_ms, split.compute_ms) == (pytest.approx(3), pytest.approx(5))
    assert split.transport_ms == pytest.approx(2, rel=1e-2)
    assert split.rows_per_batch == 4


def test_a_server_without_these_metrics_gives_no_split():
    assert split_time(record(), Metrics([], "test"), model="m", version="1-a") is None
