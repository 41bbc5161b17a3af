"""Explain: where a model looked."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.services.console.browser.views import open_view


def test_an_explanation_is_laid_over_the_image(page: Page):
    def describe(name, datatype, shape, data):
        return {"name": name, "datatype": datatype, "shape": shape, "data": data}

    pixels = 8 * 8
    outputs = [
        describe("image", "UINT8", [1, 8, 8, 1], [200] * pixels),
        describe("attribution", "FP32", [1, 8, 8], [0.5] * 32 + [-0.25] * 32),
        describe("probabilities", "FP32", [1, 10], [0.1, 0.9] + [0.0] * 8),
    ]
    asked = []

    def explain(route):
        asked.append(route.request.post_data_buffer)
        route.fulfill(json={"model_name": "digits", "model_version": "2-eager", "outputs": outputs})

    page.route("**/explain", explain)
    open_view(page, "explain/digits")
    expect(page.locator(".explained .ranking .name").first).to_have_text("1")
    expect(page.locator(".explained")).to_contain_text("Explained by 2-eager. The strongest place counts 0.5.")
    assert b'"method":"integrated-gradients"' in asked[-1]
    read = """canvas => {
        const {data} = canvas.getContext('2d').getImageData(0, 0, 8, 8);
        return [[...data.slice(0, 4)], [...data.slice(-4)]];
    }"""
    speaks_for, speaks_against = page.locator(".overlay canvas").nth(1).evaluate(read)
    assert speaks_for == [255, 106, 26, 255]
    assert speaks_against[2] == 255 > speaks_against[3] > 100  # half as strong, so half as opaque or more
    with page.expect_response("**/explain"):
        page.get_by_role("button", name="Grad-CAM").click()
    assert b'"method":"grad-cam"' in asked[-1]


def test_a_translator_explains_itself_and_a_forecaster_cannot(page: Page):
    open_view(page, "explain/translator")
    expect(page.locator(".said .alignment")).to_be_visible()
    open_view(page, "explain/series")
    expect(page.locator("main")).to_contain_text("Only answers to images and translations are explained")
