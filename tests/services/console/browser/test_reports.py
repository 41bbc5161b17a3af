"""Reports: opened in their frame, and two compared."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.services.console.browser.views import open_view


def test_a_report_behind_a_key_runs_in_its_frame_and_the_key_stays_nowhere(admin_page: Page):
    open_view(admin_page, "reports/2026-01-01")
    said = admin_page.frame_locator("iframe").locator("#said")
    expect(said).to_have_text("script ran, alone, no network")
    admin_page.wait_for_function("document.readyState === 'complete'")
    expect(admin_page.get_by_role("button", name="Save")).to_be_visible()
    assert admin_page.context.cookies() == []
    admin_page.problems.clear()  # the report's own attempts, which its policy refused


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
    # Two numbers without their noise are neither good nor bad.
    expect(page.locator(".badge")).to_have_count(0)
    expect(page.locator("main code").last).to_have_text("loadtest diff 'reports/2026-01-01' 'reports/2026-01-02'")
