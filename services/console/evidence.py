"""What a release's training run left for people to look at: figures and pictures, where it still lies."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response

from services.console.releases import Shelf
from services.gateway.errors import UnknownModelError

_EVALUATION, _RUN = "evaluation.json", "run.json"
_PICTURES = ("*.png",)


def find_run(command: str) -> Path | None:
    """Find the run that a release's recorded command names; None where it lies no more, or lay on another machine.

    The command is part of what was signed, so it cannot lead anywhere that the releaser did not name.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    named = next((word for word in words[1:] if (Path(word) / _RUN).is_file()), None)
    return None if named is None else Path(named)


def add_evidence_routes(app: FastAPI, shelf: Shelf) -> None:
    @app.get("/api/releases/{model}/{release}/run", summary="What the training run left", tags=["console"])
    async def describe_run(model: str, release: int) -> dict[str, Any]:
        folder = _run_of(shelf, model, release)
        if folder is None:
            return {"found": False, "pictures": []}
        run = json.loads((folder / _RUN).read_bytes())
        evaluation = folder / _EVALUATION
        return {
            "found": True,
            "command": run.get("command", ""),
            "data": run.get("data", ""),
            "evaluation": json.loads(evaluation.read_bytes()) if evaluation.is_file() else {},
            "pictures": _list_pictures(folder),
        }

    @app.get("/api/releases/{model}/{release}/run/{picture}", summary="One of its pictures", tags=["console"])
    async def picture(model: str, release: int, picture: str) -> Response:
        folder = _run_of(shelf, model, release)
        if folder is None or picture not in _list_pictures(folder):
            raise UnknownModelError(f"the run of {model} release {release} has no picture {picture!r}")
        return FileResponse(folder / picture, media_type="image/png", headers={"x-content-type-options": "nosniff"})


def _run_of(shelf: Shelf, model: str, number: int) -> Path | None:
    release = shelf.find(model, number)
    return find_run(release.manifests[release.index.default].source.command)


def _list_pictures(folder: Path) -> list[str]:
    return sorted(path.name for pattern in _PICTURES for path in folder.glob(pattern))
