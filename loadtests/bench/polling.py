"""What an open page of the console costs the front door: processor time of its polls, and throughput beside them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
from rich.console import Console

from loadtests.bench.front_door import CALLERS, FrontDoorError, release_tiny, start_ours
from loadtests.bench.h2load import run_h2load
from loadtests.bench.ratio import measure_ratio, print_bar
from model_store.open_inference import INFER_PATH

# What the page asks while its view Live is open, and how often; the other views ask the first alone.
PERIOD_S = 5.0
READY, LIVE, ERRORS = "/v2/health/ready", "/api/live", "/api/errors"
BAR_PERCENT = 2.0
NUM_POLLS = 300
IDLE_S = 10.0


class Visitor:
    """Asks what an open page asks."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url)
        self.last_sample = 0

    def poll(self) -> None:
        """Ask once for everything.

        Raises:
            FrontDoorError: the server refuses.
        """
        for path, query in ((READY, {}), (LIVE, {"after": self.last_sample}), (ERRORS, {})):
            answer = self._http.get(path, params=query)
            if answer.status_code != httpx.codes.OK:
                raise FrontDoorError(f"GET {path} answered {answer.status_code}: {answer.text[:200]}")
            if path == LIVE and answer.json()["samples"]:
                self.last_sample = answer.json()["samples"][-1]["number"]

    def close(self) -> None:
        self._http.close()


def measure_polling(*, pages: int, repeats: int, measure_s: float, console: Console) -> bool:
    """Count the gateway's processor time for a poll, then measure throughput with and without so many open pages.

    The bar is for the processor time: on a machine that others use too it is known far better than a ratio near one.

    Raises:
        FrontDoorError: the server did not start or refused.
        CeilingError: h2load is missing, or its calls failed.
    """
    with release_tiny(console) as (folder, body), start_ours(folder) as server:
        to = server.wait_ready()
        gateway = server.list_processes()[0]
        idle_share = _measure_idle(gateway)
        poll_s = _measure_poll(gateway, to.http, idle_share)

        def measure() -> float:
            return run_h2load(to.grpc, INFER_PATH, body, callers=CALLERS, duration_s=measure_s).requests_per_s

        def measure_beside_pages() -> float:
            with _open_pages(to.http, pages):
                return measure()

        ratio = measure_ratio(
            *(f"{pages} page(s) open", measure_beside_pages, "none", measure),
            unit="requests/s",
            repeats=repeats,
            console=console,
        )
    console.print(f"{CALLERS} callers: {ratio}")
    console.print(f"the gateway works {1e6 * poll_s:,.0f} µs for a poll, {100 * idle_share:.2f} % of a core unasked")
    percent = 100 * pages * poll_s / PERIOD_S
    what = f"share of a core for {pages} page(s) that poll every {PERIOD_S:g} s"
    return print_bar(console, what, percent, BAR_PERCENT, at_least=False, unit=" %")


def _measure_idle(gateway: psutil.Process) -> float:
    """Measure the share of a core that the gateway takes while nobody asks: its own samples of the metrics."""
    before = _read_busy_s(gateway)
    time.sleep(IDLE_S)
    return (_read_busy_s(gateway) - before) / IDLE_S


def _measure_poll(gateway: psutil.Process, url: str, idle_share: float) -> float:
    """Measure the processor time of a poll, in seconds, many in a row since one is shorter than the kernel's clock."""
    visitor = Visitor(url)
    visitor.poll()
    before, start_s = _read_busy_s(gateway), time.monotonic()
    for _ in range(NUM_POLLS):
        visitor.poll()
    busy_s = _read_busy_s(gateway) - before - idle_share * (time.monotonic() - start_s)
    visitor.close()
    return busy_s / NUM_POLLS


def _read_busy_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def _open_pages(url: str, pages: int) -> Iterator[None]:
    """Poll like so many open pages, one after another within a period."""
    closed = threading.Event()
    visitors = [Visitor(url) for _ in range(pages)]

    def visit() -> None:
        while True:
            for visitor in visitors:
                visitor.poll()
                if closed.wait(PERIOD_S / pages):
                    return

    with ThreadPoolExecutor(1) as pool:
        visits = pool.submit(visit)
        try:
            yield
        finally:
            closed.set()
    visits.result()
    for visitor in visitors:
        visitor.close()
