"""Try: arrays from files, and typed ones."""

from __future__ import annotations

import json

import numpy as np
from playwright.sync_api import Page, expect

from tests.services.console.browser.views import open_view


def test_an_array_comes_from_an_npy_file(page: Page, tmp_path):
    open_view(page, "try/beams")
    expect(page.locator(".polar")).to_have_count(2)
    np.save(tmp_path / "h.npy", np.full((2, 4, 9), 3 + 4j, np.complex64) + np.eye(4, 9))
    page.locator("input[type=file]").set_input_files(tmp_path / "h.npy")
    expect(page.locator(".sketch")).to_contain_text("FP32 [1, 2, 4, 9, 2]")
    expect(page.locator(".sketch")).to_contain_text("3 to 4")
    np.save(tmp_path / "wrong.npy", np.zeros((2, 4), np.float32))
    page.locator("input[type=file]").set_input_files(tmp_path / "wrong.npy")
    expect(page.locator(".sketch [role=alert]")).to_contain_text("this one is [2, 4]")


def test_an_array_is_typed_or_dropped_as_json(page: Page):
    open_view(page, "try/series")
    expect(page.locator(".fan")).to_be_visible()
    page.get_by_label("history", exact=True).fill(json.dumps([7.5] * 48))
    page.keyboard.press("Tab")
    expect(page.locator(".sketch")).to_contain_text("7.5 to 7.5")
    drop = """text => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([text], 'series.json'));
        document.querySelector('.drop').dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true}));
    }"""
    page.evaluate(drop, json.dumps([list(range(48))]))
    expect(page.locator(".sketch")).to_contain_text("0 to 47")
    expect(page.locator(".code pre")).to_contain_text('"history": [[0, 1, 2, 3')
    page.evaluate(drop, "[1, 2")
    expect(page.locator(".sketch [role=alert]")).to_be_visible()


def test_an_array_comes_from_a_matlab_file_in_the_order_of_its_axes(page: Page, tmp_path):
    from scipy.io import savemat

    channel = np.arange(72).reshape(2, 4, 9) * (1 + 2j)
    savemat(tmp_path / "h.mat", {"H": channel.transpose(1, 2, 0)}, do_compression=True)  # antennas first, as MATLAB's
    open_view(page, "try/beams")
    page.locator("input[type=file]").set_input_files(tmp_path / "h.mat")
    expect(page.locator(".sketch")).to_contain_text("0 to 142")
    page.get_by_role("button", name="curl", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="request.json").click()
    sent = download.value.path().read_text()
    assert '{"inputs": {"channel": [[[[[0, 0], [1, 2], [2, 4]' in sent
