"""`--set field=value`: typed changes to a recipe."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

Recipe = TypeVar("Recipe")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Return the recipe with fields replaced, each given as `field=value` and parsed by the field's type.

    Raises:
        ValueError: no such field, or the value does not fit its type; the message lists fields or choices.
    """
    hints = typing.get_type_hints(type(recipe))
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"--set takes field=value, got {assignment!r}")
        if name not in hints:
            raise ValueError(_unknown_field(recipe, name))
        try:
            changes[name] = parse(text, hints[name])
        except ValueError as error:
            raise ValueError(f"--set {assignment}: {error}") from None
    return dataclasses.replace(recipe, **changes)  # type: ignore[type-var]


def override_preset(presets: Mapping[str, Recipe], name: str, assignments: Sequence[str]) -> Recipe:
    """Return the preset of this name with fields replaced as `override` does.

    Raises:
        ValueError: there is no such preset, or field, or the value does not fit.
    """
    if name not in presets:
        raise ValueError(f"there is no preset {name!r}; there are: {', '.join(presets)}")
    return override(presets[name], assignments)


def from_record(kind: type[Recipe], record: dict[str, Any], *, retired: Collection[str] = ()) -> Recipe:
    """Rebuild a recipe from a run's record, where JSON has turned tuples into lists.

    Fields of earlier versions are left out where they are `retired`: what a finished run is released with does not
    depend on them.

    Raises:
        ValueError: the record has fields that this version of the recipe does not know.
    """
    record = {name: value for name, value in record.items() if name not in retired}
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(record) - known)
    if unknown:
        fields = ", ".join(unknown)
        raise ValueError(f"the run was recorded by another version: {kind.__name__} has no field {fields}; start anew")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in record.items()})


def parse(text: str, kind: Any) -> Any:
    """Read a value of an annotated type: bool, int, float, str, Literal, `X | None`, or tuples of them (a,b,c).

    Raises:
        ValueError: the text is no such value.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        for choice in arguments:
            if text == str(choice):
                return choice
        raise ValueError(f"must be one of {', '.join(map(str, arguments))}")
    if origin in (typing.Union, types.UnionType):
        if text.lower() == "none":
            return None
        return parse(text, next(option for option in arguments if option is not type(None)))
    if origin is tuple:
        return tuple(parse(part, arguments[0]) for part in text.split(",") if part)
    if kind is bool:
        if text.lower() not in _BOOLEANS:
            raise ValueError("must be true or false")
        return _BOOLEANS[text.lower()]
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"must be {'a whole number' if kind is int else 'a number'}, got {text!r}") from None


def _unknown_field(recipe: Any, name: str) -> str:
    fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    close = difflib.get_close_matches(name, fields, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    listing = "\n".join(f"  {field} = {value}" for field, value in fields.items())
    return f"--set: no field {name!r}{hint} Fields and their present values:\n{listing}"
