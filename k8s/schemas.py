"""Schemas: those of each Kubernetes version for its own kinds, and for the kinds of others the ones in `crds/`."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any, Final

import kubernetes_validate
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from k8s.settings import ROOM

Object = dict[str, Any]

VERSIONS: Final = tuple(f"1.{minor}" for minor in range(30, 38))


def find_misfits(objects: Iterable[Object], version: str) -> list[str]:
    """Validate objects against one Kubernetes version, unknown fields included."""
    return [misfit for item in objects for misfit in _find_misfits(json.dumps(item, sort_keys=True), version)]


@functools.cache
def custom_kinds() -> dict[str, Draft7Validator]:
    """Validators by `API KIND` for the kinds of other projects that manifests here use."""
    files = (path.read_text() for path in sorted((ROOM / "crds").glob("*.json")))
    return {kind: Draft7Validator(schema) for text in files for kind, schema in json.loads(text).items()}


@functools.cache  # renderings share most of their objects
def _find_misfits(text: str, version: str) -> list[str]:
    item = json.loads(text)
    name = f"{item['kind']}/{item['metadata']['name']}"
    try:
        kubernetes_validate.validate(item, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{name} does not fit Kubernetes {version}: {_place(error.path)}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError:
        return [f"{name}: {problem}" for problem in _find_custom_misfits(text)]
    return []


@functools.cache  # these do not depend on the version
def _find_custom_misfits(text: str) -> list[str]:
    item = json.loads(text)
    kind = f"{item['apiVersion']} {item['kind']}"
    validator = custom_kinds().get(kind)
    if validator is None:
        return [f"{kind} is neither Kubernetes' own nor in k8s/crds; add it to k8s/crds/generate.py"]
    errors = [best_match([error]) for error in validator.iter_errors(item)]
    return [f"{_place(error.absolute_path)}: {error.message}" for error in errors]


def _place(path: Iterable[object]) -> str:
    return ".".join(map(str, path)) or "the object"
