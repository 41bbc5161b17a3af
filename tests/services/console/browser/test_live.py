"""Live: the last minutes, and what an open page asks for them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from loadtests.bench.polling import ERRORS, LIVE, PERIOD_S, READY
from tests.services.console.browser.views import open_view
from tests.services.console.world import World


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
