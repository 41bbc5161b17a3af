"""One small world for all tests of the console, and a real browser to look at it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.services.console.world import MARKUP, World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("console")
    write_report(folder / "reports" / "2026-01-01", rate=100)
    write_report(folder / "reports" / "2026-01-02", rate=150)
    (folder / "secret").mkdir()
    (folder / "secret" / "results.json").write_text("{}")
    world = World(folder)
    yield world
    world.stop()


def write_report(folder: Path, rate: float) -> None:
    folder.mkdir(parents=True)
    recording = {"requests": rate, "rows_per_request": 1, "duration_s": 1.0}
    run = {
        "version": "1-eager",
        "kind": "closed loop",
        "protocol": "grpc",
        "recording": recording,
        "verdict": {"valid": True, "percentile": 90.0, "estimate_ms": 3.0},
    }
    model = {"index": {"model": "digits"}, "runs": [run], "recommendation": {"version": "1-eager"}}
    content = {"created": "2026-01-01", "command": MARKUP, "bound_ms": 50, "host": {"cpu": "a CPU"}, "models": [model]}
    (folder / "results.json").write_text(json.dumps(content))
    (folder / "index.html").write_text(
        "<p id=said>no script</p><script>said.textContent = 'script ran';"
        "try { top.document.title = 'taken over' } catch { said.textContent += ', alone' }"
        "fetch('/api/models').catch(() => { said.textContent += ', no network' })</script>"
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install chromium to have the page tested in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, world: World) -> Iterator[Page]:
    """A page that fails its test at the first console error, refused resource or stranger's script."""
    context = browser.new_context(base_url=world.url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems: list[str] = []
    page.problems = problems  # type: ignore[attr-defined]
    page.on("console", lambda message: problems.append(message.text) if is_problem(message) else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if not is_own(request.url, world) else None)
    yield page
    hacked = page.evaluate("window.hacked") if page.url.startswith("http") else None
    context.close()
    assert problems == []
    assert hacked is None


def is_problem(message: ConsoleMessage) -> bool:
    return message.type in ("error", "warning")


def is_own(url: str, world: World) -> bool:
    return url.startswith((world.url, "data:", "blob:"))
