"""How good what a network writes is: the measure of its task, exact match, and how much better than no learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from training.release.spec import Baseline
from training.release.statistics import describe_figure
from training.seq2seq.baselines import BASELINES
from training.seq2seq.bleu import Bleu
from training.seq2seq.recipe import Recipe
from training.seq2seq.rouge import Rouge

EVALUATION = "evaluation.json"
TRANSLATIONS = "translations.json"


class Measure(Protocol):
    """What written texts are worth beside their references, 0 to 100.

    `name` is for people, `key` for JSON; the `signature` says everything that the figure depends on.
    """

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def signature(self) -> str: ...

    def count(self, written: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Statistics float64 [N, …] of texts, one by one."""
        ...

    def aggregate(self, counts: np.ndarray) -> float:
        """The figure, 0 to 100, from statistics [N, …]."""
        ...

    def describe_further(self, written: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        """Figures that stand beside it, ready for JSON."""
        ...


def choose_measure(recipe: Recipe) -> Measure:
    """The measure of a recipe's task, by which runs are compared and variants judged."""
    return Rouge() if recipe.task == "summary" else Bleu(recipe.lowercase)


def score_texts(
    written: Sequence[str], references: Sequence[str], sources: Sequence[str], recipe: Recipe
) -> dict[str, Any]:
    """Describe written texts in figures, ready for JSON; of each baseline, how much better they are."""
    measure = choose_measure(recipe)
    counts = measure.count(written, references)
    figure = describe_figure(counts, None, measure.aggregate)
    same = [_fold(one, recipe) == _fold(other, recipe) for one, other in zip(written, references, strict=True)]
    return {
        measure.key: figure["value"],
        f"{measure.key}_interval": figure["interval"],
        f"{measure.key}_signature": measure.signature,
        **measure.describe_further(written, references),
        "exact_match": float(np.mean(same)),
        "n": len(same),
        "baselines": {
            name: describe_figure(scores, counts, measure.aggregate)
            for name, scores in _count_baselines(sources, references, recipe).items()
        },
    }


def choose_baseline(sources: Sequence[str], references: Sequence[str], recipe: Recipe) -> Baseline:
    """The best of what takes no learning, which a release has to beat."""
    counts = _count_baselines(sources, references, recipe)
    name = max(counts, key=lambda name: choose_measure(recipe).aggregate(counts[name]))
    return Baseline(name=name, scores=counts[name])


def make_score(references: Sequence[str], measure: Measure) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Score what the handler writes by the measure's statistics, row by row."""

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return measure.count([text.decode() for text in outputs["translation"]], references)

    return score


def _count_baselines(sources: Sequence[str], references: Sequence[str], recipe: Recipe) -> dict[str, np.ndarray]:
    measure = choose_measure(recipe)
    return {
        name: measure.count([write(source) for source in sources], references)
        for name, write in BASELINES[recipe.task].items()
    }


def _fold(text: str, recipe: Recipe) -> str:
    return text.lower() if recipe.lowercase else text
