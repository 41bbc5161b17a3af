"""A real browser to look at the small world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from services.gateway.keys import KeyFile, Verb
from services.gateway.settings import GatewaySettings
from tests.browser import open_browser
from tests.services.console.conftest import write_report
from tests.services.console.world import World


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, world: World) -> Iterator[Page]:
    """A page of the world that everybody may see."""
    yield from open_page(browser, world)


@pytest.fixture(scope="package")
def locked(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """The same releases behind keys, with a routing file."""
    locked = Locked(tmp_path_factory.mktemp("locked"), world)
    yield locked
    locked.stop()


@pytest.fixture
def admin_page(browser: Browser, locked: Locked) -> Iterator[Page]:
    """A page in a tab that has the key for everything."""
    yield from open_page(browser, locked, f"self === top && sessionStorage.setItem('millrace-key', '{locked.key}')")


class Locked(World):
    """A world behind a key for everything, `key`, whose routing is in the file `routing`."""

    def __init__(self, folder: Path, world: World) -> None:
        self.routing = folder / "routing.yaml"
        self.routing.write_text("")
        keys = folder / "keys.json"
        write_report(folder / "reports" / "2026-01-01", rate=100)
        self.key = KeyFile(keys).add("admin", (), tuple(Verb), None)
        super().__init__(folder, store=world.store, settings=GatewaySettings(api_keys=keys, routing=self.routing))


def open_page(browser: Browser, world: World, script: str = "") -> Iterator[Page]:
    """A page that fails its test at the first console error, refused resource or stranger's script."""
    context = browser.new_context(base_url=world.url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(script)
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
