"""Store: who serves and why, how it was trained, and who goes back."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.services.console.browser.views import open_view


def test_the_store_shows_who_serves_and_why(page: Page):
    open_view(page, "store")
    release = page.locator(".release").nth(1)
    expect(release).to_contain_text("digits 2")
    expect(release.locator("summary").first).to_contain_text("serves eager, int8")
    expect(release).to_contain_text("signature verified")
    release.get_by_text("The gate’s evidence").click()
    expect(release).to_contain_text("not worse by more than 0.003")


def test_the_store_shows_how_the_training_went(page: Page):
    open_view(page, "store")
    release = page.locator(".release", has_text="digits 2")
    release.get_by_text("What the training run left").click()
    expect(release.locator(".chart h2")).to_have_text([re.compile("^loss"), re.compile("^accuracy")])
    expect(release.locator(".uplot")).to_have_count(2)
    loss = release.locator(".chart .hidden").first
    expect(loss).to_have_text("loss (by step): validation 0.5, at most 1.2; train 0.4, at most 2.3")
    expect(release.locator(".counts .wrong")).to_have_text("1")
    expect(release.locator(".pictures img")).to_have_js_property("naturalWidth", 8)


def test_everybody_is_sent_back_to_an_older_release(page: Page):
    rules: dict = {}
    page.route("**/api/routing", lambda route: route.fulfill(json={"writable": True, "models": {"digits": rules}}))

    def steer(route):
        rules.update(route.request.post_data_json)
        route.fulfill(json=rules)

    page.route("**/api/routing/digits", steer)
    open_view(page, "store")
    older = page.locator(".release", has_text="digits 1")
    older.locator("summary").first.click()
    older.get_by_label("Send to").select_option("1-eager")
    older.get_by_role("button", name="everybody").click()
    expect(page.get_by_text("pinned: 1-eager")).to_be_attached()
    assert rules == {"pin": "1-eager"}
