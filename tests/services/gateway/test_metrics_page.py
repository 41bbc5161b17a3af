import asyncio
import sys

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics

from services.gateway.metrics import Metrics
from services.gateway.metrics_page import MetricsPage

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
PROCESS = ("process_", "python_gc_")  # differ from one moment to the next


@pytest.fixture
def metrics():
    metrics = Metrics()
    for version in ("1-eager", "1-int8"):
        metrics.of("classifier", version).latency.observe(0.004)
        metrics.of("classifier", version).count("grpc", "ok")
    return metrics


@pytest.fixture
async def client(metrics):
    transport = httpx.ASGITransport(MetricsPage(metrics.collect))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client


def list_lines(text):
    return [line for line in text.splitlines() if not line.startswith(PROCESS)]


async def test_the_page_is_what_a_registry_written_at_once_is(client, metrics):
    answer = await client.get("/metrics")
    assert list_lines(answer.text) == list_lines(generate_latest(metrics.registry).decode())
    assert (
        'millrace_requests_total{model="classifier",outcome="ok",protocol="grpc",version="1-int8"} 1.0' in answer.text
    )
    assert answer.headers["content-type"].startswith("text/plain")


async def test_open_metrics_end_once(client, metrics):
    answer = await client.get("/metrics", headers={"accept": OPEN_METRICS})
    assert list_lines(answer.text) == list_lines(generate_open_metrics(metrics.registry).decode())
    assert answer.text.count("# EOF\n") == 1
    assert answer.headers["content-type"].startswith("application/openmetrics-text")


async def test_samples_are_picked_by_name(client):
    answer = await client.get("/metrics", params={"name[]": "millrace_requests_total"})
    assert {line.split("{")[0] for line in answer.text.splitlines() if not line.startswith("#")} == {
        "millrace_requests_total"
    }


async def test_calls_go_on_between_any_two_families(client, metrics):
    num_turns = 0

    async def turn():
        nonlocal num_turns
        while num_turns < sys.maxsize:
            num_turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(turn())
    await client.get("/metrics")
    other.cancel()
    num_families = len(list(metrics.registry.collect()))
    assert num_turns >= 2 * num_families  # once while it is collected, once while it is written
