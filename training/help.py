"""What `train KIND --help` says of a kind: presets, data sets, and the fields of its recipe."""

from __future__ import annotations

import dataclasses
import textwrap
import typing
from collections.abc import Iterable
from typing import Any

from training.models import Model

_WIDTH = 110


def summarize_kind(model: Model[Any]) -> str:
    """Describe a kind in a line, further verbs included."""
    further = f" Also: {', '.join(f'train {model.kind} {name}' for name in model.commands)}." if model.commands else ""
    return model.summary + further


def describe_kind(model: Model[Any]) -> str:
    """List presets, data sets and fields; every paragraph asks typer to leave its lines as they are."""
    recipe = type(next(iter(model.presets.values())))
    paragraphs = [
        ["Presets (--preset), and the fields in which they differ from the defaults:"],
        *([f"  {name}", *_wrap(list_differences(preset), indent=4)] for name, preset in model.presets.items()),
        ["Data sets (--data):", *_wrap_table((name, meaning) for name, meaning in model.data_sets.items())],
        ["Fields of the recipe (--set FIELD=VALUE) with their defaults:", *_wrap_table(list_fields(recipe))],
    ]
    return "\n\n".join("\b\n" + "\n".join(lines) for lines in paragraphs)


def list_differences(preset: Any) -> str:
    """Write the fields of a preset that are not at their default as field=value."""
    pairs = [(field, getattr(preset, field.name)) for field in dataclasses.fields(preset)]
    changed = [f"{field.name}={write_value(value)}" for field, value in pairs if value != field.default]
    return " ".join(changed) or "all defaults"


def list_fields(recipe: type) -> list[tuple[str, str]]:
    """Describe each field of a recipe: field=default, and what it means, its unit and its choices."""
    hints = typing.get_type_hints(recipe, include_extras=True)
    rows = []
    for field in dataclasses.fields(recipe):
        kind, meaning = typing.get_args(hints[field.name])[:2]
        choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
        meaning += f" ({', '.join(choices)})" if choices else ""
        rows.append((f"{field.name}={write_value(field.default)}", meaning))
    return rows


def write_value(value: Any) -> str:
    """Write a value as `--set` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(write_value, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _wrap_table(rows: Iterable[tuple[str, str]]) -> list[str]:
    listed = list(rows)
    column = 4 + max(len(head) for head, _ in listed)
    lines = []
    for head, text in listed:
        first, *rest = _wrap(text, indent=column)
        lines += [f"  {head}".ljust(column) + first.strip(), *rest]
    return lines


def _wrap(text: str, *, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(text, _WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
