"""Scrape a metrics endpoint while a test runs: by a Prometheus server where one is installed, else in a thread."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from host.child import end_with_parent
from host.ports import find_free_ports
from loadtests.measure.metrics import ALERTS, Metrics, Series

INTERVAL_S = 0.5
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
# What a deployed fleet's Prometheus records and warns of: one file for both.
RULES = Path(__file__).parents[2] / "k8s" / "monitoring" / "rules.yaml"

Collect = Callable[[], Metrics]


@contextmanager
def scrape(url: str) -> Iterator[Collect]:
    """Scrape `url` until the block ends; the yielded function returns what has been scraped so far."""
    binary = shutil.which("prometheus")
    if binary is None:
        with _run_thread(url) as collect:
            yield collect
        return
    with run_prometheus(binary, url) as base:
        yield lambda: _read_prometheus(base)


def read_samples(url: str) -> dict[str, float]:
    """Read the metrics as they are now: by name, summed over labels."""
    sums: dict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(_get(url, timeout_s=10).decode()):
        for sample in family.samples:
            sums[sample.name] += sample.value
    return sums


@contextmanager
def _run_thread(url: str) -> Iterator[Collect]:
    stop = threading.Event()
    found: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[list[float], list[float]]] = {}
    lock = threading.Lock()

    def poll() -> None:
        while not stop.wait(INTERVAL_S):
            read_endpoint()

    def read_endpoint() -> None:
        try:
            text = _get(url, timeout_s=INTERVAL_S * 4).decode()
        except OSError:  # the server is starting, restarting or gone: a gap in the series says so
            return
        now = time.time()
        with lock:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    times, values = found.setdefault((sample.name, tuple(sorted(sample.labels.items()))), ([], []))
                    times.append(now)
                    values.append(sample.value)

    def collect() -> Metrics:
        read_endpoint()
        with lock:
            series = [Series(name, dict(labels), list(t), list(v)) for (name, labels), (t, v) in found.items()]
        return Metrics(series, "embedded scraper")

    read_endpoint()
    thread = threading.Thread(target=poll, name="scraper", daemon=True)
    thread.start()
    try:
        yield collect
    finally:
        stop.set()
        thread.join()


@contextmanager
def run_prometheus(binary: str, url: str) -> Iterator[str]:
    """Have a Prometheus server scrape `url`, with a fleet's rules, until the block ends.

    Yields the server's own URL after a first scrape.

    Raises:
        RuntimeError: it did not start, or scraped nothing.
    """
    target = urllib.parse.urlsplit(url)
    (port,) = find_free_ports(1)
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="prometheus-") as folder:
        config = Path(folder) / "prometheus.yml"
        config.write_text(
            json.dumps(  # JSON is YAML
                {
                    "global": {"scrape_interval": f"{round(INTERVAL_S * 1e3)}ms"},
                    "rule_files": [str(RULES)],
                    "scrape_configs": [
                        {
                            "job_name": "gateway",
                            "scheme": target.scheme,
                            "metrics_path": target.path,
                            "static_configs": [{"targets": [target.netloc]}],
                        }
                    ],
                }
            )
        )
        command = [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        process = subprocess.Popen(command, preexec_fn=end_with_parent)
        try:
            _wait_for_first_scrape(base, process)
            yield base
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _read_prometheus(base: str) -> Metrics:
    time.sleep(2 * INTERVAL_S)  # the last scrape has to arrive
    return Metrics([*_read_series(base, '{job="gateway"}'), *_read_series(base, ALERTS)], "Prometheus")


def _read_series(base: str, selector: str) -> Iterator[Series]:
    query = urllib.parse.urlencode({"query": f"{selector}[1d]"})
    answer: dict[str, Any] = json.loads(_get(f"{base}/api/v1/query?{query}", timeout_s=30))
    for item in answer["data"]["result"]:
        labels = dict(item["metric"])
        name = labels.pop("__name__")
        times, values = zip(*item["values"], strict=True)
        yield Series(name, labels, [float(t) for t in times], [float(v) for v in values])


def _wait_for_first_scrape(base: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the first scrape was made, well or not: Prometheus is ready some seconds before it begins."""
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"prometheus ended with {process.returncode} instead of starting; its message is above")
        with suppress(OSError):  # not listening yet
            if json.loads(_get(f"{base}/api/v1/query?query=up", timeout_s=1))["data"]["result"]:
                return
        time.sleep(0.1)
    raise RuntimeError(f"prometheus scraped nothing within {START_TIMEOUT_S:g} s")


def _get(url: str, *, timeout_s: float) -> bytes:
    with urllib.request.urlopen(url, timeout=timeout_s) as response:
        data: bytes = response.read()
        return data
