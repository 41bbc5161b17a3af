"""Load tests' reports that lie in a folder, opened inside the page but kept apart from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response

from services.gateway.errors import UnknownPathError

_PAGE, _RESULTS = "index.html", "results.json"
# A report is one file with its scripts inside. It may run them, as nobody: no origin of ours, no network, no way out.
_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'self'"
)


def add_report_routes(app: FastAPI, folder: Path) -> None:
    @app.get("/api/reports", summary="Load tests' reports, newest first", tags=["console"])
    async def list_reports() -> list[dict[str, Any]]:
        return [_describe(folder / name) for name in _list_names(folder)]

    @app.get("/api/reports/{name}/page", summary="A report to look at", tags=["console"])
    async def page(name: str) -> Response:
        headers = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff"}
        return FileResponse(_find(folder, name, _PAGE), headers=headers, media_type="text/html")

    @app.get("/api/reports/{name}/results", summary="A report's figures", tags=["console"])
    async def results(name: str) -> Response:
        return FileResponse(_find(folder, name, _RESULTS), media_type="application/json")


def _list_names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted((path.parent.name for path in folder.glob(f"*/{_RESULTS}")), reverse=True)


def _find(folder: Path, name: str, file: str) -> Path:
    """Find a file of a report; a name is one of those listed, whatever else it might mean as a path."""
    if name not in _list_names(folder) or not (folder / name / file).is_file():
        raise UnknownPathError(f"there is no report {name!r} with {file}; GET /api/reports lists them")
    return folder / name / file


def _describe(folder: Path) -> dict[str, Any]:
    described: dict[str, Any] = {"name": folder.name, "has_page": (folder / _PAGE).is_file()}
    try:
        content = json.loads((folder / _RESULTS).read_bytes())
        models = [model["index"]["model"] for model in content["models"]]
    except (ValueError, KeyError, TypeError):
        return described | {"models": [], "created": "", "command": "", "host": ""}
    host = content.get("host", {})
    return described | {
        "models": models,
        "created": content.get("created", ""),
        "command": content.get("command", ""),
        "host": host.get("cpu", "") if isinstance(host, dict) else "",
    }
