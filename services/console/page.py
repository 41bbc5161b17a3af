"""The page's own files, and what a browser may do with them: run and load what this server sends, nothing else."""

from __future__ import annotations

import functools
import gzip
import os
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

FILES = Path(__file__).with_name("files")
_FOLDER = "/console/"
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
        if isinstance(response, FileResponse) and "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            body = _compress(str(full_path), stat_result.st_mtime_ns)
            headers = {"etag": f"W/{response.headers['etag']}", "content-encoding": "gzip"}
            response = Response(body, headers=headers, media_type=response.media_type)
        response.headers.update(_HEADERS | {"vary": "accept-encoding"})
        return response


@functools.cache
def _compress(path: str, changed_ns: int) -> bytes:
    """A file as browsers take it, a third as long; once for each of its contents."""
    return gzip.compress(Path(path).read_bytes(), mtime=0)


class Page:
    """ASGI middleware: gives browsers the page, before anybody asks them for a key that only the page could send.

    Its files are the same for everybody and tell nothing of what is served.
    """

    def __init__(self, app: ASGIApp, first: str = "index.html") -> None:
        """`first` is the file at `/`."""
        self._app = app
        self._first = FILES / first
        self._files = _PageFiles(directory=FILES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
        elif scope["path"] == "/" and wants_page(Headers(scope=scope).get("accept", "")):
            page = FileResponse(self._first, headers=_HEADERS | {"vary": "accept"}, media_type="text/html")
            await page(scope, receive, send)
        elif scope["path"].startswith(_FOLDER):
            path = scope["path"].removeprefix(_FOLDER)
            try:
                await (await self._files.get_response(path, scope))(scope, receive, send)
            except HTTPException:
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)


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
