"""BLEU and chrF as sacrebleu measures them, what translations are worth.

Source: Post 2018, A Call for Clarity in Reporting BLEU Scores; Popović 2015, chrF.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sacrebleu.metrics import BLEU, CHRF

_ORDER = 4


@dataclass(frozen=True)
class Bleu:
    """Corpus BLEU with 13a tokens; `lowercase` folds both sides before they are compared."""

    lowercase: bool
    name: ClassVar[str] = "BLEU"
    key: ClassVar[str] = "bleu"

    @property
    def signature(self) -> str:
        """sacrebleu's signature: everything that the figure depends on."""
        metric = self._make_metric()
        metric.corpus_score(["a b c d"], [["a b c d"]])
        return str(metric.get_signature())

    def count(self, written: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Statistics float64 [N, 10] of sentences, whose sums make BLEU: both lengths, right n-grams, all n-grams."""
        metric = self._make_metric()
        rows = []
        for translation, reference in zip(written, references, strict=True):
            score = metric.corpus_score([translation], [[reference]])
            rows.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
        return np.array(rows, np.float64)

    def aggregate(self, counts: np.ndarray) -> float:
        """BLEU, 0 to 100, from statistics [N, 10]."""
        translation_length, reference_length, *grams = counts.sum(0).astype(int).tolist()
        score = BLEU.compute_bleu(grams[:_ORDER], grams[_ORDER:], translation_length, reference_length)
        return float(score.score)

    def describe_further(self, written: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        """ChrF and its signature."""
        chrf = CHRF(lowercase=self.lowercase)
        figure = float(chrf.corpus_score(list(written), [list(references)]).score)
        return {"chrf": figure, "chrf_signature": str(chrf.get_signature())}

    def _make_metric(self) -> Any:
        return BLEU(lowercase=self.lowercase, max_ngram_order=_ORDER)
