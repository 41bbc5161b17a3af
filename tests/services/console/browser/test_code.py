"""The code to copy, run as it stands."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.services.console.browser.views import open_view


@pytest.mark.parametrize(
    ("model", "output", "shape"),
    [
        ("digits", "probabilities", [1, 10]),
        ("translator", "translation", [1]),
        ("painter", "image", [16, 8, 8, 1]),
        ("beams", "precoder", [1, 2, 9, 2, 2]),
        ("series", "q50", [1, 12]),
    ],
)
def test_code_in_every_language_runs_as_it_stands(page: Page, tmp_path, monkeypatch, model, output, shape):
    """What is shown is pasted; `expected` is what the page itself was answered."""
    monkeypatch.chdir(tmp_path)
    with page.expect_response("**/infer") as first:
        open_view(page, f"try/{model}")
    header_bytes = int(first.value.headers["inference-header-content-length"])
    answered = json.loads(first.value.body()[:header_bytes])
    assert next(each for each in answered["outputs"] if each["name"] == output)["shape"] == shape
    code = page.locator(".code pre")
    for language in ("curl", "Python", "tritonclient"):
        page.get_by_role("button", name=language, exact=True).click()
        for button in page.locator(".code .row button.quiet:not(.copy)").all():
            with page.expect_download() as download:
                button.click()
            download.value.save_as(tmp_path / download.value.suggested_filename)
        text = code.text_content()
        assert text is not None
        if language == "curl":
            done = subprocess.run(["sh", "-c", f"{text} -sS"], capture_output=True, check=True, text=True)
            rows = json.loads(done.stdout)["rows"]
            assert len(rows) == shape[0], done.stdout
            assert np.shape(rows[0][output]) == tuple(shape[1:])
        else:
            namespace: dict = {}
            exec(text, namespace)
            answer = namespace["answer"]
            found = answer[output] if language == "Python" else answer.as_numpy(output)
            assert list(found.shape) == shape


def test_code_for_a_server_with_keys_takes_the_key_from_the_environment(page: Page):
    page.add_init_script("sessionStorage.setItem('millrace-key', 'secret')")
    open_view(page, "try/painter")
    code = page.locator(".code pre")
    expect(code).to_contain_text('curl -H "authorization: Bearer $MILLRACE_API_KEY"')
    page.get_by_role("button", name="tritonclient").click()
    expect(code).to_contain_text("os.environ['MILLRACE_API_KEY']")
    expect(page.locator(".code")).not_to_contain_text("secret")
    compile(code.text_content() or "", "code", "exec")
