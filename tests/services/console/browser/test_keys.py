"""A server that asks for keys."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.services.console.browser.views import best, open_view


def test_a_wrong_key_is_told_and_a_right_one_is_sent(page: Page):
    sent = []

    def answer(route):
        sent.append(route.request.headers.get("authorization", ""))
        if sent[-1] == "Bearer right":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": "the key is not known here"}, headers={"x-request-id": "r-1"})

    page.route("**/api/**", answer)
    page.goto("/")
    expect(page.locator("main [role=alert]")).to_contain_text("the key is not known here")
    for key, opener in {
        "wrong": page.get_by_role("button", name="Give a key"),
        "right": page.locator("#key-button"),
    }.items():
        opener.click()
        page.get_by_label("Key", exact=True).fill(key)
        page.keyboard.press("Enter")
        if key == "wrong":
            expect(page.locator("#key-button")).to_have_class(re.compile("wanted"))
    expect(best(page)).to_be_visible()
    assert {"", "Bearer wrong", "Bearer right"} == set(sent)
    page.problems.clear()  # the browser names each 401


def test_with_a_key_pictures_are_shown_and_reports_saved(page: Page, tmp_path):
    def answer(route):
        if route.request.headers.get("authorization") == "Bearer right":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": "the key is not known here"})

    page.route("**/api/**", answer)
    page.add_init_script("self === top && sessionStorage.setItem('millrace-key', 'right')")
    open_view(page, "store")
    page.locator(".release", has_text="digits 2").get_by_text("What the training run left").click()
    expect(page.locator(".pictures img")).to_have_js_property("naturalWidth", 8)
    page.locator(".zoom").click()
    expect(page.locator(".pictures figure")).to_have_class("whole")
    page.route("**/page", lambda route: route.fulfill(body="<p>script ran</p>", content_type="text/html"))
    open_view(page, "reports/2026-01-01")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    assert download.value.suggested_filename == "2026-01-01.html"
    assert "script ran" in download.value.path().read_text()
