"""The page's own files, and what a browser may do with them: run and load what this server sends, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

FILES = Path(__file__).with_name("files")
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Browsers ask whether a file is still the same: after an update nobody sees half of the old page.
    "cache-control": "no-cache",
}


class _PageFiles(StaticFiles):
    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response


def add_page_routes(app: FastAPI) -> None:
    """Serve what the page is made of; `/` itself is the gateway's, which answers programs there too."""
    app.mount("/console", _PageFiles(directory=FILES), name="console")


def make_page() -> Response:
    """Make the answer to a browser that opens `/`."""
    return FileResponse(FILES / "index.html", headers=_HEADERS | {"vary": "accept"}, media_type="text/html")


def wants_page(accept: str) -> bool:
    """Say whether an Accept header asks for HTML rather than JSON: browsers name it, programs and curl do not.

    >>> wants_page("text/html,application/xhtml+xml,*/*;q=0.8"), wants_page("*/*"), wants_page("application/json")
    (True, False, False)
    """
    weights = {"text/html": 0.0, "application/json": 0.0}
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        if kind in weights:
            weights[kind] = next((_weight(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
    return weights["text/html"] > weights["application/json"]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
