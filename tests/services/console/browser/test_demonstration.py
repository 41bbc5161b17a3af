"""The page of `serve --demo` in a real browser; a small command stands for training."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from services.demonstration import Demonstration, demonstrate
from services.gateway.settings import GatewaySettings
from tests.services.console.browser.conftest import is_problem

STEP = """
import pathlib, sys, time
print("epoch 1/4 <b>bold</b>", flush=True)
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
"""


@pytest.fixture
def go_on(tmp_path: Path) -> Path:
    return tmp_path / "go"


@pytest.fixture
def address(go_on: Path) -> Iterator[str]:
    steps = Demonstration(
        [("Training", [sys.executable, "-c", STEP, str(go_on)]), ("Releasing", [sys.executable, "-V"])]
    )
    ports: list[int] = []
    is_open = threading.Event()

    def announce(port: int) -> None:
        ports.append(port)
        is_open.set()

    settings = GatewaySettings(http_port=0)
    server = threading.Thread(target=lambda: asyncio.run(demonstrate(steps, settings, announce)))
    server.start()
    assert is_open.wait(30)
    yield f"http://127.0.0.1:{ports[0]}/"
    go_on.touch()
    server.join()


def test_it_shows_each_step_and_its_output_without_an_error(browser: Browser, address: str, go_on: Path):
    page = browser.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if is_problem(message) else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    expect(page.locator("h1")).to_have_text("A first model is being made")
    expect(page.locator(".steps .now")).to_have_text("Training")
    expect(page.locator("progress")).to_have_js_property("value", 0.25)
    expect(page.locator(".log")).to_contain_text("epoch 1/4 <b>bold</b>")
    go_on.touch()
    expect(page.locator(".steps .done")).to_have_text(["Training", "Releasing"])
    expect(page.locator(".steps .now")).to_have_text("Starting the workers")
    assert problems == []
    statuses = [503, 200]
    page.route("**/v2/health/ready", lambda route: route.fulfill(status=statuses.pop(0)))
    page.route(address, lambda route: route.fulfill(body="the console, after" if not statuses else "too early"))
    expect(page.locator("body")).to_have_text("the console, after", timeout=10_000)
    page.close()
