"""What holds in every view: for everybody, on a phone, without a mouse, at little cost, and when the server goes."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import DEFAULT_OPTIONS, Axe
from playwright.sync_api import Browser, Page, expect

from tests.services.console.browser.views import best, open_view
from tests.services.console.world import World

VIEWS = [
    "try/digits",
    "try/translator",
    "try/painter",
    "try/beams",
    "try/series",
    "compare/digits",
    "explain/opinions",
    "live",
    "store",
    "reports",
]
OF_COLOURS = ["color-contrast", "link-in-text-block"]  # rules that another colour scheme may break
# A third of what the page may cost: an example of large arrays comes on top of it, as it is.
MAX_FIRST_BYTES = 60_000
MAX_FIRST_PAINT_MS = 500


def test_a_server_that_went_away_is_told_and_its_return_too(page: Page, world: World):
    open_view(page, "try/digits")
    expect(page.locator("#status-text")).to_have_text("Ready")
    expect(best(page)).to_have_text("0")
    world.stop()
    try:
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".answer [role=alert]")).to_contain_text("does not answer")
        expect(page.locator("#status")).to_have_attribute("data-state", "gone")
    finally:
        world.start()
    expect(page.locator("#status-text")).to_have_text("Ready", timeout=12_000)
    expect(best(page)).to_have_text("0")
    page.problems.clear()  # refused connections, which the browser names


def test_no_view_has_serious_findings_of_axe_in_light_or_dark(page: Page):
    found = []
    for view in VIEWS:
        open_view(page, view)
        page.wait_for_load_state("networkidle")
        for scheme, rules in {"light": {}, "dark": {"runOnly": OF_COLOURS}}.items():
            page.emulate_media(color_scheme=scheme)
            found += [
                (view, scheme, each["id"], each["nodes"][0]["html"][:120])
                for each in Axe().run(page, options=DEFAULT_OPTIONS | rules).response["violations"]
                if each["impact"] in ("serious", "critical")
            ]
    assert found == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_narrow_screen_needs_no_sideways_scrolling(page: Page, view):
    page.set_viewport_size({"width": 360, "height": 740})
    open_view(page, view)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    tables = page.locator(".scroll:has(.records)").all()
    assert all(table.evaluate("table => table.scrollWidth <= table.clientWidth") for table in tables)
    assert bool(tables) == (view in ("live", "store"))


def test_the_first_answer_of_every_kind_costs_little(browser: Browser, world: World):
    costs = {}
    for model in world.catalogue.models:
        context = browser.new_context(base_url=world.url)  # each a stranger with an empty cache
        page, responses = context.new_page(), []
        page.on("response", lambda response, responses=responses: responses.append(response))
        open_view(page, f"try/{model}")
        expect(page.locator(".answer .meta")).to_be_visible()
        costs[model] = sum(response.request.sizes()["responseBodySize"] for response in responses)
        context.close()
    assert len(costs) == 10
    assert 20_000 < min(costs.values()) <= max(costs.values()) <= MAX_FIRST_BYTES, costs


@pytest.mark.slow  # a time: it is no fault of a change if another test holds the processor
def test_the_first_paint_is_there_soon(page: Page, world: World):
    page.goto("/#/try/digits")
    expect(best(page)).to_have_text("0")
    paint_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint_ms <= MAX_FIRST_PAINT_MS


def test_the_keyboard_alone_reaches_an_answer(page: Page):
    open_view(page, "try/translator")
    expect(page.locator(".answer .text")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("stop")
    page.keyboard.press("Enter")
    expect(page.locator(".answer .text")).to_contain_text("pots")


def test_a_chosen_model_stays_chosen_in_other_views(page: Page):
    open_view(page, "try/painter")
    expect(page.locator("h1")).to_have_text("painter")
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible()
    expect(page.locator("h1")).to_have_text("painter")
    page.reload()
    expect(page.locator("h1")).to_have_text("digits")  # of those with two versions the easiest to judge
