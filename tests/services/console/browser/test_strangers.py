"""What strangers wrote stays text, and scripts that got in stay still."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.services.console.browser.views import open_view
from tests.services.console.world import LABELS, MARKUP


def test_markup_in_names_and_texts_stays_text(page: Page):
    open_view(page, "try/digits")
    expect(page.locator(".about")).to_contain_text(MARKUP)
    expect(page.locator(".answer .ranking")).to_contain_text(LABELS[9])
    open_view(page, "try/translator")
    page.locator(".chip").nth(1).click()
    expect(page.locator(".answer .text")).to_contain_text(">tpircs/<")
    open_view(page, "store")
    expect(page.locator("main")).to_contain_text(MARKUP)
    open_view(page, f"try/{MARKUP.replace('/', '%2F')}/{MARKUP.replace('/', '%2F')}")
    expect(page.locator("h1")).to_be_visible()
    assert page.evaluate("window.hacked") is None


def test_a_script_that_got_into_the_page_would_not_run(page: Page):
    open_view(page, "store")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 1\">')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.hacked = 2'}))")
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    page.problems.clear()  # the policy's complaints are what was wanted
