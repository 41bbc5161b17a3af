"""How Envoy's configuration names its own parts."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def type_of(name: str) -> str:
    """The type of an extension's configuration, by its name below envoy.extensions."""
    return f"type.googleapis.com/envoy.extensions.{name}"
