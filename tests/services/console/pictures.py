"""Pictures of every view, wide and narrow, light and dark, to look at one by one.

python -m tests.services.console.pictures OUT                              # of the tests' small world
python -m tests.services.console.pictures OUT --url http://localhost:8000  # of a server that runs
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

from tests.browser import CHROMIUM
from tests.services.console.world import World

SIZES_PX = {"wide": (1400, 900), "narrow": (390, 844)}
SCHEMES = ("light", "dark")
OF_MODELS = ("try", "compare", "explain")
OF_ALL = ("live", "store", "reports")
SETTLE_MS = 1500
COMPARE_MS = 60_000


def list_views(url: str) -> Iterable[str]:
    """Name the views of a server: three of each model, and those of all."""
    models = httpx.get(f"{url}/api/models").json()
    yield from (f"{view}/{model['name']}" for model in models for view in OF_MODELS)
    yield from OF_ALL


def take_pictures(page: Page, url: str, out: Path, only: str) -> None:
    """Take each view whose name holds `only` in all sizes and schemes, whole."""
    for view in list_views(url):
        if only not in view:
            continue
        for size, (width, height) in SIZES_PX.items():
            page.set_viewport_size({"width": width, "height": height})
            page.goto("about:blank")
            page.goto(f"{url}/#/{view}")
            page.wait_for_load_state("networkidle")
            run = page.get_by_role("button", name="Compare", exact=True)
            if run.count():
                run.click()
                page.get_by_text("Running …").wait_for(state="hidden", timeout=COMPARE_MS)
            page.evaluate("document.querySelectorAll('details').forEach(folded => (folded.open = true))")
            page.wait_for_timeout(SETTLE_MS)
            page.evaluate("scrollTo(0, 0)")  # or the bar that stays at the top is drawn in the middle
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                page.wait_for_timeout(SETTLE_MS / 5)
                page.screenshot(path=out / f"{view.replace('/', '-')}.{size}.{scheme}.png", full_page=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--url", default="", help="of a server; without it the tests' small world is started")
    parser.add_argument("--only", default="", help="views with this in their names, as try/ or /digits")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        world = None if arguments.url else World(Path(folder))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: print(page.url, message.type, message.text))
        take_pictures(page, arguments.url or world.url, arguments.out, arguments.only)  # type: ignore[union-attr]
        browser.close()
        if world is not None:
            world.stop()


if __name__ == "__main__":
    main()
