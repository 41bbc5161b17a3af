"""What a finished run is worth on texts that nothing was trained on, beside a bag of words.

Dimensions: N texts, K labels.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from training.labels.difference import compare_rows
from training.labels.record import record_evaluation
from training.release.statistics import wilson_interval
from training.text_classifier.baselines import predict_by_words
from training.text_classifier.data import TextData
from training.text_classifier.pictures import draw_forms

NETWORK, WORDS = "network", "bag of words"


def evaluate_run(run: Path, logits: Tensor, data: TextData, temperature: float) -> dict[str, Any]:
    """Record what the logits float32 [N, K] of the test texts are worth; return the headline figures."""
    truth = data.test.labels.numpy()
    right = {NETWORK: logits.argmax(1).numpy() == truth, WORDS: predict_by_words(data) == truth}
    comparison = compare_rows(right[WORDS], right[NETWORK])
    forms = {method: measure_forms(own, data.test.forms) for method, own in right.items()}
    headline = record_evaluation(
        run,
        logits,
        data.test.labels,
        temperature,
        data.labels,
        f"{data.name} test",
        bag_of_words={"accuracy": float(right[WORDS].mean()), "network_minus_words": asdict(comparison)},
        forms=forms,
    )
    if data.test.forms and importlib.util.find_spec("matplotlib") is not None:
        draw_forms(forms, run / "accuracy_by_form.png")
    return headline | {
        "bag_of_words": round(float(right[WORDS].mean()), 4),
        "minus_bag_of_words": [round(value, 4) for value in (comparison.difference, *comparison.interval)],
    }


def measure_forms(right: np.ndarray, forms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Accuracy with its 95 % interval by the texts' form; nothing where the forms are unknown."""
    names = np.array(forms)
    found = {}
    for form in dict.fromkeys(forms):
        own = right[names == form]
        found[form] = {
            "accuracy": float(own.mean()),
            "interval": list(wilson_interval(int(own.sum()), len(own))),
            "n": len(own),
        }
    return found
