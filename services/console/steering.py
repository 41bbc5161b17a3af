"""Pins and canaries from the page: a key that may administer writes the routing file, which the server follows."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from host.exclusion import alone_in
from host.replacement import replacing
from model_store.version import split_version
from services.console.releases import Shelf
from services.console.routing_file import edit_rules
from services.gateway.caller import may_see
from services.gateway.core import Gateway
from services.gateway.errors import ChangedMeanwhileError, InvalidRequestError, PermissionDeniedError
from services.gateway.rest_screen import describe_caller
from services.gateway.routing import ModelRouting, Routing, RoutingError, read_routing
from services.gateway.settings import GatewaySettings

# Where the description of the interface has the body of `steer`, so that what refers into it is found.
_SCHEMA_PLACE = "#/paths/~1api~1routing~1%7Bmodel%7D/put/requestBody/content/application~1json/schema"
_SCHEMA = ModelRouting.model_json_schema(ref_template=f"{_SCHEMA_PLACE}/$defs/{{model}}")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _SCHEMA, "example": {"pin": "3-int8"}}},
    }
}


def add_steering_routes(app: FastAPI, gateway: Gateway, shelf: Shelf) -> None:
    settings = gateway.settings

    @app.get("/api/routing", summary="Pins and canaries, and whether keys may change them", tags=["console"])
    async def routing(request: Request) -> dict[str, Any]:
        caller = describe_caller(request)
        found = {} if settings.routing is None else _read(settings.routing).models
        models = {name: rules for name, rules in found.items() if may_see(caller, name)}
        return {
            "writable": _is_writable(settings),
            "models": {name: _as_json(rules) for name, rules in models.items()},
            "etags": {name: _make_etag(rules) for name, rules in models.items()},
        }

    @app.put(
        "/api/routing/{model}",
        summary="Set a model's pin and canary; {} leaves it to the store",
        tags=["console"],
        openapi_extra=_BODY,
    )
    async def steer(request: Request, response: Response, model: str) -> dict[str, Any]:
        """Replace the rules of a model; of the file the rest stays as it was written.

        `If-Match` with the model's etag of `GET /api/routing`, or `If-None-Match: *` where it has no rules, has it
        refused with 412 if somebody else was faster.
        """
        if settings.routing is None or not _is_writable(settings):
            raise PermissionDeniedError(
                "which version answers is not for callers to say here; start the server with MILLRACE_ROUTING=FILE and "
                "MILLRACE_API_KEYS=FILE, and call with a key for admin"
            )
        try:
            rules = ModelRouting.model_validate_json(await request.body())
        except ValueError as error:
            raise InvalidRequestError(f"the body is no routing of a model: {error}") from None
        for version in sorted(rules.versions):
            await asyncio.to_thread(_check_version, shelf, model, version)  # which may read whole archives
        await asyncio.to_thread(_replace, settings.routing, model, rules, request)
        response.headers["etag"] = _make_etag(rules)
        return _as_json(rules)


def _is_writable(settings: GatewaySettings) -> bool:
    """Only where callers show keys: who is not asked for one could be anybody."""
    return settings.routing is not None and settings.api_keys is not None


def _check_version(shelf: Shelf, model: str, version: str) -> None:
    number, variant = split_version(version)
    index = shelf.find(model, int(number)).index
    if variant not in index.archives:
        known = ", ".join(sorted(index.archives))
        raise InvalidRequestError(f"{model} release {number} has no variant {variant!r} that may serve; it has {known}")


def _read(path: Path) -> Routing:
    try:
        return read_routing(path)
    except RoutingError as error:
        raise InvalidRequestError(f"the routing file cannot be read as it is; mend it first: {error}") from None


def _replace(path: Path, model: str, rules: ModelRouting, request: Request) -> None:
    """Write a model's rules into the file by one rename: who follows it never reads half of it."""
    with alone_in(path.parent):
        _check_unchanged(_read(path).models.get(model), request)
        try:
            text = edit_rules(path.read_text(), model, rules)
        except RoutingError as error:
            raise InvalidRequestError(str(error)) from None
        with replacing(path) as file:
            file.write(text.encode())


def _check_unchanged(present: ModelRouting | None, request: Request) -> None:
    """Compare what is there with what the caller has seen, if that was said."""
    etag = "" if present is None else _make_etag(present)
    seen = [each.strip() for each in request.headers.get("if-match", "*" if etag else "").split(",")]
    is_known = etag in seen or (etag != "" and "*" in seen)
    if not is_known or (etag and request.headers.get("if-none-match") == "*"):
        raise ChangedMeanwhileError("the routing of this model was changed meanwhile; look at it again, then decide")


def _make_etag(rules: ModelRouting) -> str:
    return f'"{hashlib.sha256(rules.model_dump_json().encode()).hexdigest()[:16]}"'


def _as_json(rules: ModelRouting) -> dict[str, Any]:
    return rules.model_dump(mode="json", exclude_defaults=True)
