"""Which releases there are, what the gate found, who signed them, and what of them is served."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request

from model_store.live_gate import read_progress
from model_store.manifest import Manifest
from model_store.release import INDEX_NAME, Release, UnknownReleaseError
from model_store.signing import VerificationError
from model_store.store import Store
from services.gateway.caller import may_see
from services.gateway.core import Gateway
from services.gateway.errors import UnknownModelError
from services.gateway.rest_screen import describe_caller

# Of a variant: all that the gate's judgement stands on, and nothing that only a worker needs.
_SHOWN = {
    "variant": True,
    "created": True,
    "quality": True,
    "gate": True,
    "row_check": True,
    "speed": True,
    "size_bytes": True,
    "target": True,
    "source": True,
    "max_rows": True,
}


class Shelf:
    """Releases of a store, each verified once: a release never changes, and reading it again is not free."""

    def __init__(self, store: Store | None, gateway: Gateway) -> None:
        self.store = store
        self._gateway = gateway
        self._verified: dict[tuple[str, int, float], Release | str] = {}

    def list_releases(self) -> list[dict[str, Any]]:
        """Describe all releases of all models, newest first; reads and verifies those that are new."""
        if self.store is None:
            return []
        return [
            self._describe(model, number, self._open(self.store, model, number))
            for model in self.store.models()
            for number in reversed(self.store.releases(model))
        ]

    def find(self, model: str, number: int) -> Release:
        """Find a verified release.

        Raises:
            UnknownModelError: there is none of that number, or it does not verify.
        """
        if self.store is None:
            raise UnknownModelError("this server was started without a store, so it knows no releases but the served")
        try:
            found = self._open(self.store, model, number)
        except UnknownReleaseError as error:
            raise UnknownModelError(str(error)) from None
        if isinstance(found, str):
            raise UnknownModelError(f"{model} release {number} does not verify: {found}")
        return found

    def _open(self, store: Store, model: str, number: int) -> Release | str:
        """Open a release, or say why it is not to be trusted."""
        if number not in store.releases(model):
            raise UnknownReleaseError(f"{model} has no release {number}")
        changed_s = (store.root / model / str(number) / INDEX_NAME).stat().st_mtime
        key = (model, number, changed_s)
        if key not in self._verified:
            try:
                self._verified[key] = store.open(model, number)
            except VerificationError as error:
                self._verified[key] = tell_without_paths(store, error)
        return self._verified[key]

    def _describe(self, model: str, number: int, found: Release | str) -> dict[str, Any]:
        described: dict[str, Any] = {"model": model, "release": number}
        if isinstance(found, str):
            return described | {"verified": False, "why": found, "variants": []}
        index = found.index
        return described | {
            "verified": True,
            "signed_by": found.signed_by,
            "default": index.default,
            "objective": index.objective,
            "description": found.manifests[index.default].description,
            "rejected": index.rejected,
            "left_out": index.left_out,
            "golden_outputs": 0 if index.golden is None else len(index.golden.outputs),
            "variants": [self._describe_variant(manifest) for manifest in found.manifests.values()],
            "live_gates": _list_gates(found),
        }

    def _describe_variant(self, manifest: Manifest) -> dict[str, Any]:
        served = self._gateway.catalogue.find(manifest.model, manifest.version)
        state = "" if served is None else self._gateway.state_of(served)[0]
        return manifest.model_dump(mode="json", include=_SHOWN) | {"version": manifest.version, "state": state}


def _list_gates(release: Release) -> list[dict[str, Any]]:
    """List what all hosts have left about candidates of a release."""
    root = release.folder.parents[1]
    notes = (read_progress(root, release.model, manifest.version) for manifest in release.manifests.values())
    return [note.model_dump() for of_variant in notes for note in of_variant]


def add_release_routes(app: FastAPI, shelf: Shelf) -> None:
    @app.get("/api/releases", summary="Releases of the store: variants, evidence, signatures", tags=["console"])
    async def releases(request: Request) -> list[dict[str, Any]]:
        caller = describe_caller(request)
        return [each for each in await asyncio.to_thread(shelf.list_releases) if may_see(caller, each["model"])]


def tell_without_paths(store: Store, error: Exception) -> str:
    """What is wrong, which is enough for a reader, without this machine's paths."""
    return str(error).replace(f"{store.root}/", "").replace(str(store.root), "the store")
