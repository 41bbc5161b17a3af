"""Compare: versions side by side."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.services.console.browser.views import open_view


def test_versions_are_compared_on_one_input_and_on_all_examples(page: Page):
    open_view(page, "compare/digits")
    page.get_by_role("button", name="Compare", exact=True).click()
    rows = page.get_by_role("region", name="Comparison").locator("tbody tr")
    expect(rows).to_have_count(4, timeout=30_000)
    expect(rows.nth(1)).to_contain_text("% of the largest value")
    # Browsers round times: two versions may be equally fast.
    expect(page.get_by_text("fastest", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Run all examples").click()
    expect(page.locator("main")).to_contain_text("5 of 6 examples get the same answer")
    examples = page.get_by_role("region", name="Examples").locator("tbody tr")
    expect(examples.locator("th img")).to_have_count(6)
    assert ["disagrees" in (row.get_attribute("class") or "") for row in examples.all()] == [True] + [False] * 5
    first = [cell.text_content().split()[0] for cell in examples.first.locator("td").all()[:4]]
    assert sorted(set(first)) == ["3", "5"]


def test_who_asks_before_the_first_example_has_come_is_answered_when_it_has(page: Page):
    def come_late(route: Route) -> None:
        page.wait_for_timeout(700)
        route.continue_()

    page.route("**/examples/*", come_late)
    open_view(page, "compare/digits")
    page.get_by_role("button", name="Compare", exact=True).click()
    rows = page.get_by_role("region", name="Comparison").locator("tbody tr")
    expect(rows).to_have_count(4, timeout=30_000)


def test_images_differ_by_degrees_and_the_most_different_come_first(page: Page):
    open_view(page, "compare/painter")
    page.get_by_role("button", name="Run all examples").click()
    examples = page.get_by_role("region", name="Examples").locator("tbody tr")
    expect(examples.locator("canvas")).to_have_count(6)
    differences = [float(text.split(" ")[0]) for text in examples.locator("td.number").all_text_contents()]
    assert differences == sorted(differences, reverse=True)
    assert differences[0] > differences[-1] == 0
    expect(page.locator("main")).to_contain_text(f"at most by {differences[0]:g} % of the largest value")
    expect(page.locator(".disagrees")).to_have_count(0)
