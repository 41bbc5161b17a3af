"""Try: answers that grow."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from tests.services.console.browser.views import open_view


def test_an_answer_grows_as_it_streams(page: Page):
    events = [{"translation": "bon"}, {"translation": "jour <b>"}, {"translation": "", "score": -0.5}]
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    page.route("**/generate_stream", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))
    manifest = page.request.get("/api/models/translator").json() | {"streams": True}
    page.route("**/api/models/translator?*", lambda route: route.fulfill(json=manifest))
    open_view(page, "try/translator")
    expect(page.locator(".alignment")).to_be_visible()
    page.get_by_role("button", name="Stream").click()
    expect(page.locator(".answer .text")).to_have_text("bonjour <b>")
    expect(page.locator(".answer")).to_contain_text("score -0.5")
    expect(page.locator(".timing")).to_contain_text("first words after")


def test_where_it_looked_is_drawn_when_a_stream_ends(page: Page):
    manifest = page.request.get("/api/models/translator").json() | {"streams": True}
    page.route("**/api/models/translator?*", lambda route: route.fulfill(json=manifest))
    open_view(page, "try/translator")
    expect(page.locator(".alignment")).to_be_visible()
    page.get_by_label("text", exact=True).fill("hello world")
    page.get_by_role("button", name="Stream").click()
    expect(page.locator(".answer .text")).to_have_text("olleh dlrow")
    expect(page.locator(".alignment tbody th")).to_have_text(["olleh", "dlrow"])


def test_a_stream_that_nobody_wants_is_ended(page: Page):
    page.route("**/generate_stream", lambda route: None)  # it never answers
    manifest = page.request.get("/api/models/translator").json() | {"streams": True}
    page.route("**/api/models/translator?*", lambda route: route.fulfill(json=manifest))
    open_view(page, "try/translator")
    expect(page.locator(".alignment")).to_be_visible()
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Stream").click()
        page.get_by_role("button", name="Stop").click()
    expect(page.locator(".answer [role=alert]")).to_have_count(0)
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Stream").click()
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        page.get_by_role("link", name="Live").click()
