"""How good translations are: BLEU and chrF as sacrebleu measures them, and exact match.

Source: Post 2018, A Call for Clarity in Reporting BLEU Scores; Popović 2015, chrF.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU, CHRF

EVALUATION = "evaluation.json"
TRANSLATIONS = "translations.json"
_ORDER = 4


@dataclass(frozen=True)
class Bleu:
    """Corpus BLEU with 13a tokens; `lowercase` folds both sides before they are compared."""

    lowercase: bool

    @property
    def signature(self) -> str:
        """sacrebleu's signature: everything that the figure depends on."""
        metric = self._make_metric()
        metric.corpus_score(["a b c d"], [["a b c d"]])
        return str(metric.get_signature())

    def count(self, translations: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Statistics float64 [N, 10] of sentences, whose sums make BLEU: both lengths, right n-grams, all n-grams."""
        metric = self._make_metric()
        rows = []
        for translation, reference in zip(translations, references, strict=True):
            score = metric.corpus_score([translation], [[reference]])
            rows.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
        return np.array(rows, np.float64)

    def aggregate(self, counts: np.ndarray) -> float:
        """BLEU, 0 to 100, from statistics [N, 10]."""
        translation_length, reference_length, *grams = counts.sum(0).astype(int).tolist()
        score = BLEU.compute_bleu(grams[:_ORDER], grams[_ORDER:], translation_length, reference_length)
        return float(score.score)

    def _make_metric(self) -> Any:
        return BLEU(lowercase=self.lowercase, max_ngram_order=_ORDER)


def score_translations(translations: Sequence[str], references: Sequence[str], *, lowercase: bool) -> dict[str, Any]:
    """Describe translations in figures, ready for JSON."""
    bleu, chrf = Bleu(lowercase), CHRF(lowercase=lowercase)
    pairs = list(zip(translations, references, strict=True))
    same = [_fold(one, lowercase) == _fold(other, lowercase) for one, other in pairs]
    return {
        "bleu": bleu.aggregate(bleu.count(translations, references)),
        "bleu_signature": bleu.signature,
        "chrf": float(chrf.corpus_score(list(translations), [list(references)]).score),
        "chrf_signature": str(chrf.get_signature()),
        "exact_match": float(np.mean(same)),
        "n": len(pairs),
    }


def make_score(references: Sequence[str], bleu: Bleu) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Score the handler's translations by BLEU's statistics, row by row."""

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return bleu.count([translation.decode() for translation in outputs["translation"]], references)

    return score


def _fold(text: str, lowercase: bool) -> str:
    return text.lower() if lowercase else text
