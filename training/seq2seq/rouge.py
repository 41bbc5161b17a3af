"""ROUGE: what of a reference a summary has, and what of a summary the reference has.

Words are runs of letters and digits, in lower case and not stemmed, as the package rouge-score has them, whose figures
these are for English; it drops letters that are not a to z. Of several sentences the whole text is compared.
Source: Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries, sections 2 and 3.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from training.release.statistics import bootstrap_interval

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Rouge:
    """The mean F1 of the words of the longest common subsequence ("L"), of single words (1) or of pairs of them (2)."""

    unit: Literal["L", 1, 2] = "L"
    name: ClassVar[str] = "ROUGE-L"
    key: ClassVar[str] = "rouge_l"
    signature: ClassVar[str] = "F1|case:lc|tok:words|stem:no"

    def count(self, written: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """F1 float64 [N], 0 to 100, of each summary."""
        pairs = zip(written, references, strict=True)
        return np.array([100 * self._measure(split_words(one), split_words(other)) for one, other in pairs], np.float64)

    def aggregate(self, counts: np.ndarray) -> float:
        """ROUGE, 0 to 100, from the summaries' F1 [N]."""
        return float(counts.mean())

    def describe_further(self, written: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        """ROUGE-1 and ROUGE-2 with their 95 % intervals."""
        figures: dict[str, Any] = {}
        for measure in (Rouge(1), Rouge(2)):
            counts = measure.count(written, references)
            figures[f"rouge_{measure.unit}"] = measure.aggregate(counts)
            figures[f"rouge_{measure.unit}_interval"] = bootstrap_interval(counts)
        return figures

    def _measure(self, summary: list[str], reference: list[str]) -> float:
        if self.unit == "L":
            return _f1(count_common(summary, reference), len(summary), len(reference))
        grams = [
            Counter(zip(*(words[start:] for start in range(self.unit)), strict=False)) for words in (summary, reference)
        ]
        return _f1((grams[0] & grams[1]).total(), grams[0].total(), grams[1].total())


def split_words(text: str) -> list[str]:
    """Split a text into the words that ROUGE compares."""
    return _WORD.findall(text.lower())


def count_common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many words the longest common subsequence has: words of both in the same order, with others between."""
    longest = [0] * (len(second) + 1)
    for word in first:
        above = longest.copy()
        for place, other in enumerate(second, start=1):
            longest[place] = above[place - 1] + 1 if word == other else max(above[place], longest[place - 1])
    return longest[-1]


def _f1(num_common: int, num_written: int, num_wanted: int) -> float:
    return 2 * num_common / (num_written + num_wanted) if num_common else 0.0
