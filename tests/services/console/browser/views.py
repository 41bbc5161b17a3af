"""Where tests begin in the page, and what they look at first."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def open_view(page: Page, view: str) -> None:
    page.goto(f"/#/{view}")
    expect(page.locator("h1")).to_be_visible()


def best(page: Page) -> Locator:
    return page.locator(".answer .ranking li .name").first
