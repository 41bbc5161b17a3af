"""Changes to the routing file that leave the rest of it as its operator wrote it, comments and all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from services.gateway.routing import ModelRouting, Routing, RoutingError

_MODELS = "models"
_WIDE = 10**6  # so that PyYAML breaks no line


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def edit_rules(text: str, model: str, rules: ModelRouting) -> str:
    """Change a model's rules in the text of a valid routing file; no rules take the model out.

    Raises:
        RoutingError: they are written in a way that cannot be changed in one place, as with anchors.
    """
    before: dict[str, Any] = yaml.safe_load(text) or {}
    models = Routing.model_validate(before).models
    content = dict(before.get(_MODELS, {}))
    content[model] = _write_rules(content.get(model, {}), models.get(model, ModelRouting()), rules)
    if not content[model]:
        del content[model]
    changed = _rewrite(text, {_MODELS: content})
    wanted = {name: each for name, each in models.items() if name != model}
    try:
        found = Routing.model_validate(yaml.safe_load(changed))
    except (yaml.YAMLError, ValueError):
        found = None
    if found != Routing(models=wanted | ({model: rules} if rules != ModelRouting() else {})):
        raise RoutingError(f"the rules of {model} can only be changed by hand as they are written (anchors, say)")
    return changed


def _write_rules(before: Mapping[str, Any], present: ModelRouting, rules: ModelRouting) -> dict[str, Any]:
    """Write rules as a file has them, those that stay the same as they were written."""
    kept = {name: value for name, value in before.items() if getattr(rules, name) == getattr(present, name)}
    changed = rules.model_dump(mode="json", exclude_defaults=True)
    return {name: kept.get(name, changed.get(name)) for name in (*kept, *(changed.keys() - kept.keys()))}


def _rewrite(text: str, content: dict[str, Any]) -> str:
    root = yaml.compose(text)
    if root is None:
        return text + yaml.safe_dump(content)
    for edit in sorted(_change(text, root, content), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _change(text: str, node: yaml.Node, wanted: Any) -> Iterator[_Edit]:
    """Find what makes a node say what is wanted: entries on lines of their own one by one, all else as a whole."""
    if not (isinstance(node, yaml.MappingNode) and not node.flow_style and isinstance(wanted, dict) and wanted):
        start, end = node.start_mark.index, _find_end(node)
        if yaml.safe_load(text[start:end]) != wanted:
            yield _Edit(start, end, _write_flow(wanted))
        return
    known = set()
    for key, value in node.value:
        known.add(key.value)
        if key.value in wanted:
            yield from _change(text, value, wanted[key.value])
        else:
            yield _Edit(_begin_of_line(text, key.start_mark.index), _end_of_line(text, _find_end(value)), "")
    place = _end_of_line(text, _find_end(node))
    lines = [
        f"{' ' * node.start_mark.column}{name}: {_write_flow(wanted[name])}\n" for name in wanted if name not in known
    ]
    if lines:
        yield _Edit(place, place, ("" if text[:place].endswith("\n") else "\n") + "".join(lines))


def _find_end(node: yaml.Node) -> int:
    """Where a node ends; PyYAML counts what is blank or a comment behind a block to it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _find_end(last[1] if isinstance(node, yaml.MappingNode) else last)
    return int(node.end_mark.index)


def _begin_of_line(text: str, place: int) -> int:
    return text.rfind("\n", 0, place) + 1


def _end_of_line(text: str, place: int) -> int:
    found = text.find("\n", place)
    return len(text) if found < 0 else found + 1


def _write_flow(value: Any) -> str:
    return yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=_WIDE).strip()[1:-1]
