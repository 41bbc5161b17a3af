"""Which recipes a search may try: fields of the recipe with a range or with choices."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from training.engine.overrides import override
from training.help import write_value

_FORM = "FIELD=LOW:HIGH, FIELD=LOW:HIGH:log or FIELD=A|B|C"


class Suggesting(Protocol):
    """An optuna trial."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both included; on a `log` scale small and large ones are as likely."""

    field: str
    low: float
    high: float
    log: bool
    whole: bool

    def suggest(self, trial: Suggesting) -> str:
        """Let the trial choose, as text that `--set` takes."""
        if self.whole:
            return str(trial.suggest_int(self.field, int(self.low), int(self.high), log=self.log))
        return repr(trial.suggest_float(self.field, self.low, self.high, log=self.log))

    def find(self, value: Any) -> float | None:
        """A recipe's value as a parameter of a trial; None where it lies outside."""
        inside = isinstance(value, int | float) and self.low <= value <= self.high
        return value if inside else None


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Values as `--set` takes them."""

    field: str
    values: tuple[str, ...]

    def suggest(self, trial: Suggesting) -> str:
        """Let the trial choose, as text that `--set` takes."""
        return trial.suggest_categorical(self.field, self.values)

    def find(self, value: Any) -> str | None:
        """A recipe's value as a parameter of a trial; None where it is no choice."""
        written = write_value(value)
        return written if written in self.values else None


Dimension = Range | Choices


def read_dimension(text: str, recipe: Any) -> Dimension:
    """Read what `--over` says of one field of a recipe.

    Raises:
        ValueError: another form, no such field, a bound or choice that the field does not take, or an empty range.
    """
    field, equals, values = text.partition("=")
    if not equals or not values:
        raise ValueError(f"--over takes {_FORM}, got {text!r}")
    if ":" not in values or "|" in values:
        choices = tuple(values.split("|"))
        for choice in choices:
            _check(recipe, field, choice, text)
        if len(set(choices)) < 2:
            raise ValueError(f"--over {text}: one choice is no choice; say --set {text}")
        return Choices(field=field, values=choices)
    low, high, *rest = values.split(":")
    if rest not in ([], ["log"]):
        raise ValueError(f"--over takes {_FORM}, got {text!r}")
    for bound in (low, high):
        _check(recipe, field, bound, text)
    kind = typing.get_type_hints(type(recipe))[field]
    if kind not in (int, float):
        raise ValueError(f"--over {text}: {field} is no number; say {field}=A|B|C")
    if float(low) >= float(high) or (rest and float(low) <= 0):
        raise ValueError(f"--over {text}: the range must rise{', and begin above 0' if rest else ''}")
    return Range(field=field, low=float(low), high=float(high), log=bool(rest), whole=kind is int)


def _check(recipe: Any, field: str, value: str, text: str) -> None:
    try:
        override(recipe, [f"{field}={value}"])
    except ValueError as error:
        raise ValueError(f"--over {text}: {error}".replace("--set: ", "")) from None


def read_space(texts: Sequence[str], recipe: Any) -> list[Dimension]:
    """Read all `--over`.

    Raises:
        ValueError: as `read_dimension`; or there is none, or a field has two.
    """
    space = [read_dimension(text, recipe) for text in texts]
    fields = [dimension.field for dimension in space]
    if not fields:
        raise ValueError(f"say what to search: --over {_FORM}")
    if twice := {field for field in fields if fields.count(field) > 1}:
        raise ValueError(f"--over names {', '.join(sorted(twice))} twice")
    return space


def locate(space: Sequence[Dimension], recipe: Any) -> dict[str, float | str] | None:
    """Where a recipe lies in the space; None where it lies outside."""
    found = {dimension.field: dimension.find(getattr(recipe, dimension.field)) for dimension in space}
    inside = {field: value for field, value in found.items() if value is not None}
    return inside if len(inside) == len(found) else None
