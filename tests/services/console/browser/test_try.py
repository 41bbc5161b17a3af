"""Try: each kind's form and its answer."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.services.console.browser.views import best, open_view
from tests.services.console.world import MARKUP, World


def test_an_example_is_classified_as_soon_as_the_page_is_open(page: Page):
    open_view(page, "try/digits")
    expect(best(page)).to_have_text("0")
    page.get_by_role("button", name="Example 2", exact=True).click()
    expect(best(page)).to_have_text("1")
    expect(page.locator(".answer .ranking li .number").first).to_have_text(re.compile(r"^\d+\.\d %$"))


def test_a_dropped_file_is_classified(page: Page, tmp_path, world: World):
    open_view(page, "try/digits")
    expect(best(page)).to_have_text("0")
    digit = np.zeros((80, 80), np.uint8)
    digit[5:75, 35:50] = 250
    file = tmp_path / f"{MARKUP.replace('/', '')}.png"
    Image.fromarray(digit).save(file)
    page.locator(".picture input[type=file]").set_input_files(file)
    expect(best(page)).to_have_text("1")
    expect(page.locator(".code pre")).to_contain_text("curl -T '<img src=x")


def test_a_pasted_picture_is_classified_and_a_pasted_text_is_not(page: Page):
    open_view(page, "try/digits")
    expect(best(page)).to_have_text("0")
    paste = """async is => {
        const canvas = Object.assign(document.createElement('canvas'), {width: 80, height: 80});
        const pen = canvas.getContext('2d');
        pen.fillRect(0, 0, 80, 80);
        pen.fillStyle = 'white';
        pen.fillRect(35, 5, 15, 70);
        const blob = await new Promise(done => canvas.toBlob(done));
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([is ? blob : 'text'], 'pasted.' + (is ? 'png' : 'txt'),
                                         {type: is ? 'image/png' : 'text/plain'}));
        document.dispatchEvent(new ClipboardEvent('paste', {clipboardData}));
    }"""
    page.evaluate(paste, False)
    page.evaluate(paste, True)
    expect(best(page)).to_have_text("1")
    expect(page.locator(".code pre")).to_contain_text("pasted.png")


@pytest.mark.parametrize(
    ("strokes", "label"),
    [
        ([[(120, 60), (120, 180)]], "1"),
        ([[(100, 50), (140, 50), (155, 85), (155, 150), (140, 185), (100, 185), (85, 150), (85, 85), (100, 50)]], "0"),
    ],
)
def test_a_drawn_digit_is_classified_right(page: Page, strokes, label):
    open_view(page, "try/digits")
    page.get_by_role("button", name="Draw", exact=True).click()
    box = page.locator(".board canvas").bounding_box()
    assert box is not None
    for stroke in strokes:
        page.mouse.move(box["x"] + stroke[0][0], box["y"] + stroke[0][1])
        page.mouse.down()
        for x, y in stroke[1:]:
            page.mouse.move(box["x"] + x, box["y"] + y, steps=4)
        page.mouse.up()
    expect(page.locator(".code pre")).to_contain_text("drawing.png")
    expect(best(page)).to_have_text(label)


def test_a_text_is_translated_with_its_alignment(page: Page):
    open_view(page, "try/translator")
    page.get_by_label("text", exact=True).fill("hello world")
    page.keyboard.press("Enter")
    expect(page.locator(".answer .text")).to_contain_text("olleh dlrow")
    expect(page.locator(".alignment tbody th").first).to_have_text("olleh")
    expect(page.locator(".alignment td[title='100.0 %']")).to_have_count(2)


def test_an_opinion_is_ranked_and_a_prompt_goes_on(page: Page):
    open_view(page, "try/opinions")
    page.get_by_label("text", exact=True).fill("bad, bad and bad")
    page.keyboard.press("Enter")
    expect(page.locator(".answer .ranking .name")).to_have_text(["against", "for"])
    expect(page.locator(".answer .ranking .number").first).to_have_text("88.1 %")
    open_view(page, "try/novelist")
    expect(page.locator(".answer .text")).to_have_text("Once upon a")
    expect(page.locator(".answer")).to_contain_text("score -11")
    page.get_by_label("continuation", exact=True).fill("time")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".answer")).to_contain_text("score -4")


def test_noise_becomes_images_of_a_class_by_number_or_name(page: Page):
    open_view(page, "try/noise")
    expect(page.locator(".grid canvas")).to_have_count(16)
    page.get_by_role("button", name="seed + label_name").click()
    page.get_by_label("label_name", exact=True).fill("bright")
    page.keyboard.press("Enter")
    expect(page.locator(".grid canvas")).to_have_count(16)
    read = "canvas => canvas.getContext('2d').getImageData(0, 0, 1, 1).data[0]"
    expect(page.locator(".code pre")).to_contain_text("bright")
    assert min(canvas.evaluate(read) for canvas in page.locator(".grid canvas").all()) >= 127


def test_an_example_of_other_inputs_is_asked_once_and_an_empty_text_is_not_sent(page: Page):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/infer") else None)
    open_view(page, "try/noise")
    expect(page.locator(".code pre")).to_be_visible()
    expect(page.get_by_role("button", name="seed + label", exact=True)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="seed + label_name").click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("label_name is empty; write a text")
    assert len(asked) == 2  # the images, and one between two of them


def test_seeds_become_images_and_a_slider_walks_between_them(page: Page):
    open_view(page, "try/painter")
    expect(page.locator(".grid canvas")).to_have_count(16)
    walk = page.locator(".walker canvas")
    expect(page.locator(".walker output")).to_have_text("0 % of the way")
    read = "canvas => canvas.toDataURL()"
    start = walk.evaluate(read)
    assert start == page.locator(".grid canvas").first.evaluate(read)  # the latent of seed 0 is what seed 0 draws
    page.locator(".walker input[type=range]").fill("100")
    expect(page.locator(".walker output")).to_have_text("100 % of the way")
    assert walk.evaluate(read) == page.locator(".grid canvas").nth(1).evaluate(read) != start


def test_beams_are_drawn_and_measured_against_classical_ones(page: Page):
    open_view(page, "try/beams")
    expect(page.locator(".polar")).to_have_count(2)
    names = page.locator(".beams .ranking .name")
    assert names.all_text_contents()[:2] == ["this model", "singular vectors of each subcarrier"]
    numbers = [float(text.split()[0]) for text in page.locator(".beams .ranking .number").all_text_contents()]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.01)  # this model answers the singular vectors
    assert numbers[1] > max(numbers[2:])


def test_a_forecast_is_drawn_as_a_fan_behind_its_history(page: Page):
    open_view(page, "try/series")
    fan = page.locator(".fan")
    expect(fan.locator(".band")).to_have_count(2)
    expect(page.locator(".answer")).to_contain_text("between the quantiles 0.1 and 0.9, 0.25 and 0.75")
    past, future = (
        [tuple(map(float, point.split(","))) for point in fan.locator(line).get_attribute("points").split()]
        for line in (".past", ".future")
    )
    assert (len(past), len(future)) == (48, 12)
    assert future[0][1] == pytest.approx(past[36][1], abs=0.1)  # as a season before
    assert past[-1][0] < future[0][0]
    expect(page.locator(".answer pre")).to_have_count(0)


def test_a_mask_lies_in_colours_over_the_image_and_says_what_covers_it(page: Page):
    open_view(page, "try/scenes")
    names = page.locator(".masks .ranking .name")
    expect(names).to_have_text(["nothing", "dark", f"bright {MARKUP}"])
    assert page.locator(".masks .ranking .number").all_text_contents() == ["50.0 %", "25.0 %", "25.0 %"]
    read = "canvas => Array.from(canvas.getContext('2d').getImageData(0, 0, 1, canvas.height).data)"
    levels = page.locator(".masks canvas").evaluate(read)
    expect(page.locator(".answer .ranking")).to_have_count(1)
    black, dark, bright = (levels[4 * row : 4 * row + 4] for row in (0, 5, 7))
    assert black == [0, 0, 0, 255]
    assert dark == pytest.approx([0.6 * 31 + 40, 0.6 * 119 + 40, 0.6 * 180 + 40, 255], abs=1)
    assert bright == pytest.approx([0.6 * 255 + 80, 0.6 * 127 + 80, 0.6 * 14 + 80, 255], abs=1)
    expect(page.locator(".answer pre")).to_have_count(0)


def test_an_example_that_comes_late_leaves_a_text_alone_that_somebody_is_in(page: Page):
    held: list[Route] = []
    page.route("**/examples/0?*", lambda route: held.append(route))
    with page.expect_request("**/examples/0?*"):
        open_view(page, "try/translator")
    page.get_by_label("text", exact=True).focus()
    with page.expect_response("**/examples/0?*"):
        held[0].continue_()
    page.wait_for_timeout(100)
    page.keyboard.insert_text("stop")
    page.keyboard.press("Enter")
    expect(page.locator(".answer .text")).to_have_text("pots")
