"""A released variant's model card: what it is for, what was measured of it, and what was not, for whoever may use it.

All of it comes from the manifest and from the evaluation of the training run. Sections: Mitchell et al. 2019, Model
Cards for Model Reporting, https://arxiv.org/abs/1810.03993.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from model_store.manifest import Manifest

CARD_NAME: Final = "MODEL_CARD.md"
_INTERVAL = "_interval"


def write_card(manifest: Manifest, training: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Write the card as Markdown; `training` and `evaluation` are the release's evidence, empty where there is none."""
    sections = {
        f"Model card: {manifest.model} {manifest.version}": _describe_model(manifest, training),
        "Use": _describe_use(manifest),
        "Data": _describe_data(manifest, training, evaluation),
        "Figures": _describe_figures(manifest),
        "Evaluation of the training run": _describe_evaluation(evaluation),
        "Limits": [f"- {limit}" for limit in list_limits(manifest, training, evaluation)],
    }
    parts = [
        "\n".join([f"{'#' if place == 0 else '##'} {title}", "", *lines])
        for place, (title, lines) in enumerate(sections.items())
        if lines
    ]
    return "\n\n".join(parts) + "\n"


def _describe_model(manifest: Manifest, training: Mapping[str, Any]) -> list[str]:
    source = manifest.source
    rows = {
        "kind": manifest.kind,
        "variant": manifest.variant,
        "made": f"{manifest.created} by `{source.command}`, commit {source.git_commit or 'unknown'}",
        "trained": f"by `{training['command']}`" if training.get("command") else "not here: a program of one's own",
        "runs on": f"{manifest.target.device}, {manifest.target.capability or 'any instruction set'}",
        "size": f"{manifest.size_bytes / 1e6:.1f} MB",
    }
    if manifest.parent:
        rows["made from"] = f"run {manifest.parent.run}, which measures {manifest.parent.value:.4f}"
    return [manifest.description, "", *_table(("", ""), rows.items())]


def _describe_use(manifest: Manifest) -> list[str]:
    lines = []
    for kind, tensors in (("takes", manifest.inputs), ("answers", manifest.outputs)):
        lines += [f"- {kind} `{one.name}` {one.datatype} {list(one.shape)}: {one.in_words}" for one in tensors]
    return lines + [f"- parameter `{parameter.name}`, {parameter.in_words}" for parameter in manifest.parameters]


def _describe_data(manifest: Manifest, training: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[str]:
    quality = manifest.quality
    lines = [f"Judged by the gate on {quality.n} rows of {quality.dataset} (sha256 {quality.dataset_digest[:16]}…)."]
    if training.get("data"):
        lines.insert(0, f"Trained on {training['data']}, preset {training.get('preset')}, seed {training.get('seed')}.")
    if "privacy" in evaluation:
        lines.append(_describe_privacy(evaluation["privacy"]))
    return lines


def _describe_privacy(privacy: Mapping[str, Any]) -> str:
    return (
        f"Trained with differential privacy: for each of its {privacy['rows']} training rows ε = "
        f"{privacy['epsilon']:.3g} at δ = {privacy['delta']:.3g}. This holds for its weights; curves and findings are "
        "measured without noise, and validation rows are not protected."
    )


def _describe_figures(manifest: Manifest) -> list[str]:
    quality, speed = manifest.quality, manifest.speed
    rows = {
        quality.metric: f"{quality.value:.4f} ({_span(quality.interval)}, 95 %)",
        "learned": quality.learned_in_words,
        "gate": f"{'passed' if manifest.gate.passed else 'failed'}: {manifest.gate.why}. Rule: {manifest.gate.rule}",
        "speed": f"{speed.rows_per_s:,.0f} rows/s at {speed.rows} rows, one row in {speed.single_row_ms:.3f} ms, by "
        f"{speed.threads} thread(s) of {speed.host}",
    }
    if paired := quality.paired:
        p_value = "" if paired.p_value is None else f", p = {paired.p_value:.3g}"
        rows[f"against {paired.reference}"] = (
            f"{paired.difference:+.4f} ({_span(paired.interval, '+.4f')}), {paired.name}{p_value}; "
            f"{paired.detectable_in_words}"
        )
    return _table(("", ""), rows.items())


def _describe_evaluation(evaluation: Mapping[str, Any]) -> list[str]:
    """Scalars as a table; mappings and lists of figures as one of their own, wherever they lie."""
    tables = list(_lay_out("", _flatten(evaluation)))
    return [line for name, lines in tables for line in ([f"{name}:", ""] if name else []) + [*lines, ""]][:-1]


def _flatten(part: Any) -> Any:
    """Take figures that hold but a value, and maybe its interval, as that value."""
    if not isinstance(part, Mapping):
        return part
    return (
        part["value"]
        if set(part) - {"interval"} == {"value"}
        else {key: _flatten(value) for key, value in part.items()}
    )


def _lay_out(name: str, part: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    if lines := _table(("figure", "value"), _list_figures(part)):
        yield name, lines
    groups = {key: _as_mapping(value) for key, value in part.items()}
    flat = {key: dict(_list_figures(group)) for key, group in groups.items() if group and not _is_nested(group)}
    columns = list(dict.fromkeys(column for row in flat.values() for column in row))
    if columns and name:
        yield name, _table(("", *columns), ((key, *(row.get(one, "") for one in columns)) for key, row in flat.items()))
    for key, group in groups.items():
        if group and (_is_nested(group) or not name):
            yield from _lay_out(f"{name} / {key}" if name else key, group)


def _as_mapping(value: Any) -> Mapping[str, Any]:
    """A list of mappings by place; whatever else is none holds nothing to lay out."""
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        return {str(place): one for place, one in enumerate(value)}
    return value if isinstance(value, Mapping) else {}


def _is_nested(part: Mapping[str, Any]) -> bool:
    return any(_as_mapping(value) for value in part.values())


def _list_figures(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        if isinstance(value, bool | int | str) or value is None:
            yield name, str(value)
        elif isinstance(value, float):
            interval = figures.get(f"{name}{_INTERVAL}")
            yield name, f"{value:.4g}" + (f" ({_span(interval, '.4g')})" if isinstance(interval, Sequence) else "")


def list_limits(manifest: Manifest, training: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Iterator[str]:
    """What whoever uses the variant should not expect of it."""
    quality = manifest.quality
    if not manifest.gate.passed:
        yield "It failed the gate and is not served."
    if quality.baseline is None:
        yield "Nobody checked whether it has learned anything: there is no baseline."
    elif not quality.baseline.is_beaten:
        yield "It was not shown to beat what takes no learning, and was released all the same."
    yield f"Figures hold for data like {quality.dataset}; on other data nothing was measured."
    yield from (f"Its data: {finding}." for finding in training.get("data_findings") or ())
    if manifest.input_features:
        features = sorted({f"{one.feature} of {one.input}" for one in manifest.input_features})
        yield f"While it serves, drift is watched by {', '.join(features)} alone."
    if manifest.target.capability:
        yield f"Its program needs {manifest.target.capability} and is refused elsewhere."
    if manifest.row_check and not manifest.row_check.independent:
        yield f"Rows are answered one by one, as they would change each other: {manifest.row_check.why}."
    if any(parameter.name == "seed" for parameter in manifest.parameters):
        yield "An answer depends on chance unless the request names a seed."
    if "by_group" not in evaluation:
        yield "Whether it serves some groups of rows worse than others was not measured."


def _table(head: Sequence[str], rows: Any) -> list[str]:
    body = [f"| {' | '.join(_in_cell(cell) for cell in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body] if body else []


def _in_cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _span(interval: Sequence[float], form: str = ".4f") -> str:
    low, high = interval
    return f"{low:{form}} … {high:{form}}"
