"""Signed acts: what was decided about releases after they were made, and going back by one, with a key that may."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from model_store.acts import Act, derive_course
from model_store.release import UnknownReleaseError
from model_store.rollback import AnotherAnswersError, restore, roll_back
from model_store.signing import VerificationError
from model_store.store import Store
from services.console.releases import Shelf, tell_without_paths
from services.gateway.caller import Caller, may_see, name_caller
from services.gateway.core import Gateway
from services.gateway.errors import ChangedMeanwhileError, InvalidRequestError, PermissionDeniedError
from services.gateway.rest_screen import describe_caller


class Decision(BaseModel):
    """Why, and of a roll back what the caller has seen to answer by default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str = Field(min_length=1, max_length=500, description="kept in the signed act")
    current: int | None = Field(None, description="the release that answered by default when this was decided")


def add_act_routes(app: FastAPI, gateway: Gateway, shelf: Shelf) -> None:
    @app.get("/api/acts", summary="What was decided about releases, signed, and what that comes to", tags=["console"])
    async def acts(request: Request) -> dict[str, Any]:
        caller, store = describe_caller(request), shelf.store
        models = {} if store is None else await asyncio.to_thread(_describe_all, store, caller)
        return {"writable": _is_writable(gateway, store), "models": models}

    @app.post("/api/releases/{model}/rollback", summary="Withdraw what answers by default", tags=["console"])
    async def withdraw(request: Request, model: str, decision: Decision) -> dict[str, Any]:
        """Sign an act, as `store rollback` does: every server that follows the store goes back.

        With `current` it is refused with 412 if another release answers by now.
        """
        return await asyncio.to_thread(
            _withdraw, _find_store(gateway, shelf), model, _sign(request, decision), decision
        )

    @app.post("/api/releases/{model}/{release}/restore", summary="Let a withdrawn release answer", tags=["console"])
    async def give_back(request: Request, model: str, release: int, decision: Decision) -> dict[str, Any]:
        store = _find_store(gateway, shelf)
        return await asyncio.to_thread(_restore, store, model, release, _sign(request, decision))


def _is_writable(gateway: Gateway, store: Store | None) -> bool:
    """Only where callers show keys, and this machine has the key that signs."""
    return store is not None and gateway.settings.api_keys is not None and store.keyring.can_sign


def _find_store(gateway: Gateway, shelf: Shelf) -> Store:
    if shelf.store is None or not _is_writable(gateway, shelf.store):
        raise PermissionDeniedError(
            "releases are not for callers to withdraw here; start the server where there is a signing key, with "
            "MILLRACE_API_KEYS=FILE, and call with a key for admin, or use `store rollback`"
        )
    return shelf.store


def _sign(request: Request, decision: Decision) -> str:
    return f"{decision.why} ({name_caller(describe_caller(request))})"


def _withdraw(store: Store, model: str, why: str, decision: Decision) -> dict[str, Any]:
    try:
        return _describe_act(roll_back(store, model, why, seen=decision.current))
    except AnotherAnswersError as error:
        raise ChangedMeanwhileError(str(error)) from None
    except (OSError, UnknownReleaseError, VerificationError) as error:
        raise InvalidRequestError(tell_without_paths(store, error)) from None


def _restore(store: Store, model: str, release: int, why: str) -> dict[str, Any]:
    try:
        return _describe_act(restore(store, model, release, why))
    except (OSError, UnknownReleaseError, VerificationError) as error:
        raise InvalidRequestError(tell_without_paths(store, error)) from None


def _describe_all(store: Store, caller: Caller) -> dict[str, Any]:
    return {name: _describe(store, name) for name in store.models() if may_see(caller, name)}


def _describe(store: Store, model: str) -> dict[str, Any]:
    """All acts of a model, the newest first, and what they come to; nothing where they do not verify."""
    problem, found = "", list[Act]()
    try:
        found = store.acts(model).read()
    except VerificationError as error:
        problem = tell_without_paths(store, error)
    course = derive_course(found)
    releases = [] if problem else store.releases(model)
    current = course.current(releases)
    return {
        "problem": problem,
        "acts": [_describe_act(act) for act in reversed(found)],
        "current": current,
        "previous": None if current is None else course.current(each for each in releases if each < current),
        "withdrawn": sorted(course.withdrawn),
        "promoted": course.promoted,
    }


def _describe_act(act: Act) -> dict[str, Any]:
    return act.model_dump(include={"number", "kind", "version", "against", "why", "created"})
