"""A first model for a store that has none: trained and released in front of who looks at the page, by `serve --demo`.

Training is another room, and needs what a serving machine need not have: it is run as the commands that people type.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from services.console.page import Page
from services.gateway.http_server import HttpServer, open_port
from services.gateway.settings import GatewaySettings

MAX_LINES = 200
# Long enough for a page that asks each second to see how it ended.
LAST_LOOK_S = 2.5
_PROGRESS = re.compile(r"(\d+)/(\d+)(?:\s|$)")


class DemonstrationError(RuntimeError):
    """A command of the demonstration failed; its output says why."""


class Demonstration:
    """Commands one after another, and how far they have come."""

    def __init__(self, steps: list[tuple[str, list[str]]]) -> None:
        """Each step has a title and a command."""
        self._steps = steps
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._place = 0
        self._share = 0.0
        self._state = "working"

    def describe(self) -> dict[str, Any]:
        """Describe it for the page; `share` is of the present step."""
        return {
            "state": self._state,
            "steps": [title for title, _ in self._steps],
            "step": self._place,
            "share": self._share,
            "lines": list(self._lines),
        }

    async def run(self) -> None:
        """Run all steps.

        Raises:
            DemonstrationError: names the command that failed, with its last words.
        """
        for place, (_, command) in enumerate(self._steps):
            self._place, self._share = place, 0.0
            await self._run_step(command)
        self._state = "done"

    async def _run_step(self, command: list[str]) -> None:
        self._lines.append(f"$ {' '.join([Path(command[0]).name, *command[1:]])}")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self._take_line(line.decode(errors="replace").rstrip())
            status = await process.wait()
        except asyncio.CancelledError:
            if process.returncode is None:
                process.terminate()
                await process.wait()
            raise
        if status:
            self._state = "failed"
            last = "\n".join(list(self._lines)[-10:])
            raise DemonstrationError(f"{Path(command[0]).name} failed with status {status}:\n{last}")

    def _take_line(self, line: str) -> None:
        found = _PROGRESS.search(line)
        if found and int(found[2]):
            self._share = min(1.0, int(found[1]) / int(found[2]))
        print(line, file=sys.stderr, flush=True)
        self._lines.append(line)


def list_steps(store: Path, run: Path = Path("runs/classifier/demo")) -> list[tuple[str, list[str]]]:
    """List the steps from nothing to a released classifier of digits."""
    train, release = (str(Path(sys.executable).with_name(name)) for name in ("train", "release"))
    return [
        (
            "Training a classifier of handwritten digits",
            [train, "classifier", "--preset", "demo", "--out", str(run), "--overwrite"],
        ),
        ("Building its variants, measuring and signing them", [release, str(run), "--store", str(store)]),
    ]


async def demonstrate(demonstration: Demonstration, settings: GatewaySettings, announce: Callable[[int], None]) -> int:
    """Run a demonstration behind the page that shows it; tells its port first, and returns it for the gateway.

    Raises:
        DemonstrationError: a command failed.
        PortTakenError: the page's port is used by another process.
    """
    listener = open_port(settings.host, settings.http_port, "http_port")
    server = HttpServer(
        Page(_make_app(demonstration), "demonstration.html"), listener, settings.make_tls_context("http/1.1")
    )
    port = server.port
    server.start()
    announce(port)
    try:
        await demonstration.run()
    finally:
        await asyncio.sleep(LAST_LOOK_S)
        await server.stop(0)
    return port


def _make_app(demonstration: Demonstration) -> FastAPI:
    app = FastAPI(title="Millrace", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/api/demo")
    async def demo() -> dict[str, Any]:
        return demonstration.describe()

    @app.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT"])
    async def anything(path: str) -> JSONResponse:
        return JSONResponse({"error": "the first model is being made; GET /api/demo tells how far it is"}, 503)

    return app
