"""Explain: where a model looked."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.services.console.browser.views import open_view
from tests.services.console.world import MARKUP, World


def test_an_explanation_is_laid_over_the_image(page: Page, world: World):
    open_view(page, "explain/digits")
    expect(page.locator(".explained .ranking .name").first).to_have_text("0")
    expect(page.locator(".explained")).to_contain_text("Explained by 2-eager. The strongest place counts 0.5.")
    assert world.reasons.asked[-1]["method"] == "integrated-gradients"
    read = """canvas => {
        const {data} = canvas.getContext('2d').getImageData(0, 0, 8, 8);
        return [[...data.slice(0, 4)], [...data.slice(-4)]];
    }"""
    speaks_for, speaks_against = page.locator(".overlay canvas").nth(1).evaluate(read)
    assert speaks_for == [255, 106, 26, 255]
    assert speaks_against[2] == 255 > speaks_against[3] > 100  # half as strong, so half as opaque or more
    with page.expect_response("**/explain"):
        page.get_by_role("button", name="Grad-CAM").click()
    assert world.reasons.asked[-1]["method"] == "grad-cam"


def test_the_words_of_a_text_are_coloured_by_what_they_count(page: Page):
    open_view(page, "explain/opinions")
    pieces = page.locator(".pieces mark")
    expect(pieces).to_have_text(["a", " good", " room", " and", " a", " bad", " bed"], use_inner_text=False)
    expect(page.locator(".pieces .against")).to_have_text(" bad")
    colours = pieces.evaluate_all("marks => marks.map(mark => getComputedStyle(mark).backgroundColor)")
    nothing, good, *_, bad, last = colours
    assert nothing == last
    assert len({nothing, good, bad}) == 3
    expect(pieces.nth(1)).to_have_attribute("title", "1")
    expect(page.locator(".explained .ranking .name")).to_have_text(["for", "against"])
    page.locator(".chip").nth(1).click()
    expect(page.locator(".pieces")).to_have_text(f"good {MARKUP}")


def test_the_samples_of_a_signal_are_coloured_by_what_they_count(page: Page):
    open_view(page, "explain/beats")
    bands = page.locator(".explained rect")
    expect(bands).to_have_count(8)
    assert bands.evaluate_all("bands => bands.map(band => [band.className.baseVal, band.textContent])") == [
        ["for", "sample 1: 0"],
        ["for", "sample 2: 0"],
        ["for", "sample 3: 2"],
        ["against", "sample 4: -1"],
        *(["for", f"sample {number}: 0"] for number in range(5, 9)),
    ]
    strengths = bands.evaluate_all("bands => bands.slice(1, 4).map(band => Number(band.getAttribute('fill-opacity')))")
    assert strengths == [0, 1, 0.616]  # half as strong, so half as opaque or more
    expect(page.locator(".explained polyline")).to_have_count(1)
    expect(page.locator(".explained .ranking .name")).to_have_text(["beating", "still"])


def test_what_a_prompt_goes_on_with_stands_beside_its_reasons(page: Page):
    open_view(page, "explain/novelist")
    expect(page.locator(".pieces mark.for")).to_have_count(3)
    expect(page.locator(".explained")).to_contain_text("What it goes on withOnce upon a")


def test_a_translator_explains_itself_and_a_forecaster_cannot(page: Page):
    with page.expect_response("**/translator/versions/1-eager/explain"):
        open_view(page, "explain/translator")
    expect(page.locator(".said .alignment")).to_be_visible()
    open_view(page, "explain/series")
    expect(page.locator("main")).to_contain_text("Only answers to images, signals and texts are explained")


def test_a_segmenters_classes_are_explained_over_its_image(page: Page):
    open_view(page, "explain/scenes")
    expect(page.locator(".overlay canvas")).to_have_count(2)
    expect(page.locator(".explained .ranking li").first).to_contain_text(
        "nothing"
    )  # half of the image is of this class
    expect(page.locator(".explained .ranking li").first).to_contain_text("50.0 %")
