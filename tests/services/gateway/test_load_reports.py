"""The load as balancers read it."""

import base64
import json

import httpx
import pytest

from services.catalogue import Catalogue
from services.gateway.core import Gateway
from services.gateway.load_reports import Load, LoadReports, LoadTrailers
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from services.grpc_server import CallContext


class Clock:
    """Time that a test sets."""

    now_s = 0.0

    def __call__(self):
        return self.now_s


def test_utilization_is_the_share_of_workers_time_and_follows_a_change():
    clock, total = Clock(), [Load(0, 0, 0, 2, 0)]
    reports = LoadReports(lambda: total[0], clock)
    for step in range(1, 121):  # 30 s: two workers, of which one is busy all the time
        clock.now_s = 0.25 * step
        total[0] = Load(0.25 * step, 25 * step, step, 2, 7)
        _, value = reports.header
    report = json.loads(value.removeprefix(b"JSON "))
    assert report["application_utilization"] == pytest.approx(0.5, abs=0.005)
    assert report["rps_fractional"] == pytest.approx(104, abs=1)
    assert report["eps"] == pytest.approx(4, abs=0.05)
    assert report["named_metrics"] == {"waiting_rows": 7}
    clock.now_s += 5  # idle for as long as is remembered
    assert json.loads(reports.header[1][5:])["application_utilization"] == pytest.approx(0.5 / 2.718, abs=0.005)


def test_reports_are_made_a_few_times_a_second_only():
    clock, num_reads = Clock(), 0

    def read():
        nonlocal num_reads
        num_reads += 1
        return Load(0, 0, 0, 1, num_reads)

    reports = LoadReports(read, clock)
    for _ in range(1000):
        clock.now_s += 0.001
        assert reports.trailer[0] == b"endpoint-load-metrics-bin"
    assert num_reads == 1 + 4


async def test_answers_of_both_protocols_carry_the_same_report(variant, backend):
    gateway = Gateway(Catalogue([variant]), backend, GatewaySettings(load_reports=True))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(gateway)), base_url="http://here") as client:
        answer = await client.get("/v2/health/live")
    text = answer.headers["endpoint-load-metrics"]
    # Not by grpc: its clients take the trailer for their balancers and show it to nobody.
    context = CallContext("here:1", (), {}, str)

    async def proceed():
        pass

    await LoadTrailers(gateway.load_reports)(context, proceed)
    ((name, value),) = context.trailing_metadata
    assert name == b"endpoint-load-metrics-bin"
    report = gateway.load_reports._message.FromString(base64.b64decode(value))
    expected = json.loads(text.removeprefix("JSON "))
    assert dict(report.named_metrics) == expected["named_metrics"] == {"waiting_rows": 0}
    assert report.application_utilization == expected["application_utilization"]


async def test_nothing_is_reported_unless_asked_for(variant, backend):
    gateway = Gateway(Catalogue([variant]), backend, GatewaySettings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(gateway)), base_url="http://here") as client:
        assert "endpoint-load-metrics" not in (await client.get("/v2/health/live")).headers
