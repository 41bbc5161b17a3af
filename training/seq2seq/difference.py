"""Whether two finished runs really differ in the measure of their task."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.engine.difference import judge_difference
from training.engine.overrides import from_record
from training.engine.runs import find_result, read_run
from training.release.statistics import paired_bootstrap
from training.seq2seq.evaluate import TRANSLATIONS, choose_measure
from training.seq2seq.recipe import Recipe


def compare_runs(first: Path, second: Path) -> str:
    """Compare what two finished runs wrote of the same test texts; returns the findings as text.

    Raises:
        FileNotFoundError: a run wrote nothing because it did not finish.
        ValueError: the runs read different texts.
    """
    texts = [read_translations(run) for run in (first, second)]
    (name, one), (_, other) = (next(iter(text.items())) for text in texts)
    if one["references"] != other["references"]:
        raise ValueError(f"{first} and {second} were evaluated on different texts; compare runs on the same data")
    recipes = [from_record(Recipe, read_run(run)["recipe"]) for run in (first, second)]
    measure = choose_measure(replace(recipes[0], lowercase=all(recipe.lowercase for recipe in recipes)))
    counts = [measure.count(text["translations"], one["references"]) for text in (one, other)]
    figures = [measure.aggregate(count) for count in counts]
    low, high, p_value = paired_bootstrap(counts[1], counts[0], measure.aggregate)
    verdict = judge_difference(low, high)
    return "\n".join(
        [
            f"{first}: {measure.name} {figures[0]:.2f} on {len(counts[0])} texts of {name}",
            f"{second}: {measure.name} {figures[1]:.2f}",
            f"second − first {figures[1] - figures[0]:+.2f} (95 % interval {low:+.2f} … {high:+.2f}), paired bootstrap "
            f"p = {p_value:.3g}: {verdict}",
            measure.signature,
        ]
    )


def read_translations(run: Path) -> dict[str, dict[str, Any]]:
    """Read what a finished run wrote and the references by test set.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    found: dict[str, dict[str, Any]] = json.loads(find_result(run, TRANSLATIONS).read_text())
    return found
