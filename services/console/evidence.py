"""What a release's training run left for people to look at: curves, figures and pictures, signed with the release."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from model_store.evidence import PICTURE_SUFFIX, list_evidence, read_evidence, read_records
from services.console.releases import Shelf
from services.gateway.errors import UnknownModelError


def add_evidence_routes(app: FastAPI, shelf: Shelf) -> None:
    @app.get("/api/releases/{model}/{release}/run", summary="What the training run left", tags=["console"])
    async def describe_run(model: str, release: int) -> dict[str, Any]:
        path = (await asyncio.to_thread(shelf.find, model, release)).evidence_path  # which may read whole archives
        training, evaluation = read_records(path)
        return {"training": training, "evaluation": evaluation, "pictures": _list_pictures(path)}

    @app.get("/api/releases/{model}/{release}/run/{picture}", summary="One of its pictures", tags=["console"])
    async def picture(model: str, release: int, picture: str) -> Response:
        path = (await asyncio.to_thread(shelf.find, model, release)).evidence_path  # which may read whole archives
        if path is None or picture not in _list_pictures(path):
            raise UnknownModelError(f"the run of {model} release {release} has no picture {picture!r}")
        return Response(
            read_evidence(path, picture), media_type="image/png", headers={"x-content-type-options": "nosniff"}
        )


def _list_pictures(path: Path | None) -> list[str]:
    return [] if path is None else [name for name in list_evidence(path) if name.endswith(PICTURE_SUFFIX)]
