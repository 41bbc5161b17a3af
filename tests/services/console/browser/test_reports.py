"""Reports: opened in their frame, and two compared."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.services.console.browser.views import open_view


def test_a_report_runs_alone_in_its_frame_and_two_are_compared(page: Page):
    open_view(page, "reports")
    page.get_by_role("link", name="2026-01-01").click()
    said = page.frame_locator("iframe").locator("#said")
    expect(said).to_have_text("script ran, alone, no network")
    expect(page).to_have_title("Reports · Millrace")
    page.problems.clear()  # the report's own attempts, which its policy refused
    page.get_by_role("link", name="All reports").click()
    for name in ("2026-01-01", "2026-01-02"):
        page.get_by_label(f"Compare {name}").check()
    page.get_by_role("button", name="Compare two").click()
    expect(page.locator("main")).to_contain_text("+50.0 %")
    expect(page.locator(".badge.good")).to_have_text("+50.0 %")
