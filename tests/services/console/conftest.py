"""One small world for all tests of the console."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.console.world import MARKUP, World


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
