"""Store: who serves and why, how it was trained, and who goes back."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.services.console.browser.conftest import Locked
from tests.services.console.browser.views import open_view


def test_the_store_shows_who_serves_and_why(page: Page):
    open_view(page, "store")
    release = page.locator(".release", has_text="digits 2")
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


def test_a_release_is_withdrawn_by_a_signed_act_and_restored(admin_page: Page, locked: Locked):
    open_view(admin_page, "store")
    newer, older = (admin_page.locator(".release", has_text=f"digits {number}") for number in (2, 1))
    expect(newer.locator("summary").first).to_contain_text("answers by default")
    expect(newer).to_contain_text("goes back to release 1.")
    expect(admin_page.get_by_role("button", name="Roll back")).to_have_count(1)  # no other model has an older release
    newer.get_by_label("Why").fill("takes threes for fives")
    newer.get_by_role("button", name="Roll back").click()
    expect(newer.locator("summary").first).to_contain_text("withdrawn")
    expect(older.locator("summary").first).to_contain_text("answers by default")
    assert locked.store.resolve("digits")[0].number == 1
    newer.get_by_label("Why").fill("they were fives")
    newer.get_by_role("button", name="Restore").click()
    expect(newer.locator("summary").first).to_contain_text("answers by default")
    newer.get_by_text("Signed acts (2)").click()
    rows = newer.get_by_role("region", name="Acts").locator("tbody tr")
    expect(rows).to_have_text(
        [
            re.compile(r"^2restored2they were fives \(admin\)"),
            re.compile(r"^1withdrawn2takes threes for fives \(admin\)"),
        ]
    )


ON_TRIAL = """\
models:
  digits:
    shadow: {to: 2-eager, share: 0.1, promote: true}  # till Friday
  painter: {pin: 1-eager}
"""


def test_everybody_is_sent_back_to_an_older_release_and_what_is_on_trial_stays_so(admin_page: Page, locked: Locked):
    locked.routing.write_text(ON_TRIAL)
    open_view(admin_page, "store")
    newer, older = (admin_page.locator(".release", has_text=f"digits {number}") for number in (2, 1))
    expect(newer.get_by_text("on trial: 2-eager, copies of 10 %, takes over if it passes")).to_be_visible()
    admin_page.set_viewport_size({"width": 360, "height": 740})
    assert admin_page.evaluate("document.documentElement.scrollWidth") <= 360
    older.locator("summary").first.click()
    older.get_by_label("Send to").select_option("1-eager")
    older.get_by_role("button", name="Everybody").click()
    expect(admin_page.get_by_text("pinned: 1-eager")).to_have_count(2)  # and the painter's
    assert locked.routing.read_text() == ON_TRIAL.replace("# till Friday\n", "# till Friday\n    pin: 1-eager\n")


def test_a_part_of_the_callers_stays_with_a_canary_of_any_share_until_it_ends(admin_page: Page, locked: Locked):
    locked.routing.write_text(ON_TRIAL)
    open_view(admin_page, "store")
    newer = admin_page.locator(".release", has_text="digits 2")
    newer.get_by_label("Send to").select_option("2-int8")
    newer.get_by_label("Share of the callers").fill("12.5")
    newer.get_by_label("told apart by header").fill("X-User")
    newer.get_by_role("button", name="A part").click()
    expect(newer.get_by_text("canary: 2-int8, 12.5 % by x-user")).to_be_visible()
    expect(newer).to_contain_text("“Everybody” ends the canary.")
    canary = "\n    canary: {by: x-user, weights: {2-int8: 0.125}}\n"
    assert locked.routing.read_text() == ON_TRIAL.replace("# till Friday\n", f"# till Friday{canary}")
    newer.get_by_role("button", name="End the canary").click()
    expect(newer.get_by_text("canary:")).to_have_count(0)
    assert locked.routing.read_text() == ON_TRIAL


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(admin_page: Page, locked: Locked):
    locked.routing.write_text(ON_TRIAL)
    open_view(admin_page, "store")
    changed = ON_TRIAL.replace("0.1", "0.2")
    locked.routing.write_text(changed)
    newer = admin_page.locator(".release", has_text="digits 2")
    newer.get_by_role("button", name="End the trial").click()
    expect(newer.get_by_role("alert")).to_contain_text("changed meanwhile")
    assert locked.routing.read_text() == changed
    newer.get_by_role("button", name="Look again").click()
    newer.get_by_role("button", name="End the trial").click()
    expect(newer.get_by_text("on trial")).to_have_count(0)
    assert locked.routing.read_text() == "models:\n  painter: {pin: 1-eager}\n"
    admin_page.problems.clear()  # the browser names the refusal
