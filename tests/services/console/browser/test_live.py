"""Live: the last minutes, and what an open page asks for them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from loadtests.bench.polling import ERRORS, LIVE, PERIOD_S, READY
from model_store.live_gate import GateProgress, write_progress
from model_store.tensors import encode_raw
from services.gateway.core import Gateway
from services.gateway.drift import LEAST_ROWS
from services.gateway.live_gate import LiveGate
from services.gateway.tensors import InferAnswer, InferRequest, NamedTensor
from tests.services.console.browser.views import open_view
from tests.services.console.world import World

MARGIN = 0.05


def test_live_shows_what_was_answered_and_refused(page: Page, world: World):
    answer = page.request.post("/v2/models/digits/infer", data={"inputs": []}, headers={"x-request-id": "mine-1"})
    assert answer.status == 400
    world.take_sample()
    open_view(page, "live")
    expect(page.locator(".uplot")).to_have_count(4)
    # Without a pointer over it a legend says the last values.
    expect(page.locator(".u-legend").first.locator(".u-value").first).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    row = page.get_by_role("region", name="Versions").locator("tr", has_text="digits 2-int8")
    expect(row).to_contain_text("ready")
    expect(page.get_by_role("region", name="Recent errors")).to_contain_text("mine-1")


class Candidates:
    """Three live gates after so many answers as there were."""

    def __init__(self, gateway: Gateway) -> None:
        self.gates = []
        same = InferAnswer("digits", "2-int8", "", [])
        find = gateway.catalogue.find
        for candidate, num_pairs, answer in (("2-eager", 400, same), ("1-eager", 8, same), ("1-int8", 400, None)):
            gate = LiveGate(find("digits", candidate), find("digits", "2-int8"), MARGIN)
            for _ in range(num_pairs):
                gate.compare(same, answer)
            self.gates.append(gate)
        self.gates[0].num_skipped = 3

    def report(self) -> list[GateProgress]:
        return [gate.report() for gate in self.gates]


def test_live_tells_what_is_known_of_candidates_and_the_store_of_each_release(page: Page, world: World):
    def have_candidates(gateway: Gateway) -> None:
        gateway.answering.shadows = Candidates(gateway)  # type: ignore[assignment]
        for progress in gateway.answering.shadows.report():
            write_progress(world.store.root, progress)

    def have_none(gateway: Gateway) -> None:
        gateway.answering.shadows = None

    world.do(have_candidates)
    try:
        open_view(page, "live")
        gates = page.locator(".gates li")
        expect(gates.locator(".badge")).to_have_text(["passed", "undecided", "failed"])
        expect(gates.first).to_contain_text("digits 2-eager against 2-int8")
        expect(gates.first).to_contain_text(
            re.compile(r"changes 0 % of the answers, 0 % to [\d.]+ % at 95 %; at most 5 %")
        )
        expect(gates.first).to_contain_text("400 pairs of answers, 3 left out for want of room")
        expect(gates.nth(1)).to_contain_text("8 pairs of answers. The interval still holds the margin")
        expect(gates.nth(2)).to_contain_text(re.compile(r"changes 100 % of the answers, [\d.]+ % to 100 %"))
        places = gates.nth(1).locator(".whisker > *").evaluate_all("parts => parts.map(part => part.offsetLeft)")
        _, point, limit = places
        assert point <= 0 < limit
        open_view(page, "store")
        of_newest = page.locator(".release", has_text="digits 2").locator(".gates li")
        expect(of_newest).to_have_count(1)
        expect(of_newest.locator(".badge")).to_have_text("passed")
    finally:
        world.do(have_none)


def test_live_says_how_much_the_valve_gives_away_and_which_inputs_drift(page: Page, world: World):
    def happen(gateway: Gateway) -> None:
        model = gateway.metrics.of("digits", "2-eager")
        for _ in range(30):
            model.count("grpc", "ok")
        for _ in range(10):
            model.count_redirected("2-int8")
        (monitor,) = (monitor for name, _, monitor in gateway._drift_monitors() if name == "series")
        history = np.full((1, 48), 9, np.float32)
        tensor = NamedTensor("history", "FP32", history.shape, encode_raw(history))
        for _ in range(LEAST_ROWS):
            monitor.take(InferRequest("series", "", "", [tensor]), 1)

    world.take_sample()
    world.do(happen)
    world.take_sample()
    open_view(page, "live")
    valve = page.get_by_role("region", name="Valve").locator("tbody tr")
    expect(valve).to_have_text(re.compile(r"digits 2-eager2-int8[\d.]+ %25\.0 %"))
    drift = page.get_by_role("region", name="Inputs").locator("tbody tr")
    row = re.compile(r"series 1-eagerhistorymeanothers than released[\d.]+e-\d+2\d\d$")
    expect(drift).to_have_text(row)
    expect(page.locator("main")).to_contain_text("above 0.25 and the p-value below 0.01")


@pytest.mark.parametrize(
    ("address", "count"), [("https://grafana.example/d/1", 1), ("javascript:window.hacked=1", 0), ("", 0)]
)
def test_live_leads_to_grafana_where_that_is_configured(page: Page, address, count):
    live = page.request.get("/api/live").json() | {"grafana": address}
    page.route("**/api/live*", lambda route: route.fulfill(json=live))
    with page.expect_response("**/api/errors"):
        open_view(page, "live")
    link = page.get_by_role("link", name="Grafana")
    expect(link).to_have_count(count)
    if count:
        expect(link).to_have_attribute("href", address)


def test_an_open_page_asks_what_the_benchmark_asks_and_a_hidden_one_nothing(page: Page):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.clock.install(time=0)
    open_view(page, "live")
    expect(page.locator(".uplot")).to_have_count(4)
    page.wait_for_load_state("networkidle")
    for advance in (lambda: page.clock.pause_at(10**6), lambda: page.clock.run_for(1000 * PERIOD_S)):
        asked.clear()
        errors, live, ready = (page.expect_response(f"**{path}*") for path in (ERRORS, LIVE, READY))
        with errors, live, ready:
            advance()
        page.wait_for_load_state("networkidle")
    page.clock.run_for(900 * PERIOD_S)
    assert sorted(asked) == sorted((READY, LIVE, ERRORS))
    asked.clear()
    page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})")
    page.clock.run_for(5000 * PERIOD_S)
    assert asked == []
    page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'visible'})")
    with page.expect_response(f"**{LIVE}*"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
