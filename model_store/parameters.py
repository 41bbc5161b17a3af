"""Request parameters: text to typed values, and the rules that a manifest makes for them.

A rule is a parameter of the manifest as JSON has it (`model_store.interface.Parameter`): workers read no other form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ParameterValue = bool | int | float | str

_TYPES: dict[str, tuple[type, ...]] = {"bool": (bool,), "int64": (int,), "double": (float, int), "string": (str,)}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_KINDS_IN_WORDS = {"bool": "true or false", "int64": "a whole number", "double": "a number", "string": "a text"}
_INT64 = range(-(2**63), 2**63)


class ParameterError(ValueError):
    """A value that the rule does not allow; the text is for the caller."""


def parse_parameter(text: str, rule: Mapping[str, Any]) -> ParameterValue:
    """Read a parameter from a URL, a form field or a command line, and check it.

    Raises:
        ParameterError: the text is not of the rule's kind, or its value is not allowed.
    """
    value: ParameterValue
    try:
        match rule["kind"]:
            case "bool":
                value = _BOOLEANS[text.lower()]
            case "int64":
                value = int(text)
            case "double":
                value = float(text)
            case _:
                value = text
    except (KeyError, ValueError):
        raise _wrong_kind(text, rule) from None
    check_parameter(value, rule)
    return value


def guess_parameter(text: str) -> ParameterValue:
    """Read a parameter whose rule only the server knows: true and false, whole numbers and decimals by their look."""
    if text in ("true", "false"):
        return _BOOLEANS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def check_parameter(value: Any, rule: Mapping[str, Any]) -> None:
    """Check a typed value against kind, choices and bounds.

    Raises:
        ParameterError: says what was wrong, what came and what is allowed.
    """
    name, allowed = rule["name"], _TYPES[rule["kind"]]
    is_of_kind = isinstance(value, allowed) and (not isinstance(value, bool) or bool in allowed)
    if not is_of_kind:
        raise _wrong_kind(value, rule)
    if rule.get("choices") and value not in rule["choices"]:
        raise ParameterError(f"parameter {name} is {value!r}; it must be one of {', '.join(rule['choices'])}")
    if isinstance(value, str):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise ParameterError(f"parameter {name} is {value}; it must be finite")
    low, high = rule.get("minimum"), rule.get("maximum")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"{'-∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'}"
        raise ParameterError(f"parameter {name} is {value}; the range is {bounds}: {rule['meaning']}")
    if isinstance(value, int) and value not in _INT64:
        raise ParameterError(f"parameter {name} is {value}; it must fit into 64 bits")


def _wrong_kind(value: Any, rule: Mapping[str, Any]) -> ParameterError:
    kind = _KINDS_IN_WORDS[rule["kind"]]
    return ParameterError(
        f"parameter {rule['name']} is {value!r}; it must be {kind} ({rule['kind']}): {rule['meaning']}"
    )
