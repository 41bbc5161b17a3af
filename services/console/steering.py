"""Pins and canaries from the page: a key that may administer writes the routing file, which the server follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI, Request

from host.replacement import replacing
from model_store.version import split_version
from services.console.releases import Shelf
from services.gateway.caller import may_see
from services.gateway.core import Gateway
from services.gateway.errors import InvalidRequestError, PermissionDeniedError
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
        models = {} if settings.routing is None else _read(settings.routing).models
        return {
            "writable": _is_writable(settings),
            "models": {name: _as_json(rules) for name, rules in models.items() if may_see(caller, name)},
        }

    @app.put(
        "/api/routing/{model}",
        summary="Set a model's pin and canary; {} leaves it to the store",
        tags=["console"],
        openapi_extra=_BODY,
    )
    async def steer(request: Request, model: str) -> dict[str, Any]:
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
            _check_version(shelf, model, version)
        present = _read(settings.routing)
        others = {name: each for name, each in present.models.items() if name != model}
        _write(settings.routing, Routing(models=others | ({model: rules} if rules != ModelRouting() else {})))
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


def _write(path: Path, routing: Routing) -> None:
    """Replace the file by one rename: who follows it never reads half of it."""
    content = {"models": {name: _as_json(rules) for name, rules in routing.models.items()}}
    with replacing(path) as file:
        file.write(yaml.safe_dump(content, sort_keys=True).encode())


def _as_json(rules: ModelRouting) -> dict[str, Any]:
    return rules.model_dump(mode="json", exclude_defaults=True)
