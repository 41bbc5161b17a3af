"""How good a classifier is on its test images, and what it tells of those it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from training.images.splits import ImageData
from training.labels.record import record_evaluation


def evaluate_run(
    run: Path,
    logits: Tensor,
    data: ImageData,
    temperature: float,
    membership: Mapping[str, Any],
    privacy: Mapping[str, Any] | None,
    *,
    pictures: bool,
) -> dict[str, Any]:
    """Record what the logits float32 [N, K] of the test images are worth; return the headline figures.

    Beside them stand how well members are told from others, and what a private training has spent.
    """
    further = {"membership": membership} | ({"privacy": privacy} if privacy else {})
    headline = record_evaluation(
        run, logits, data.test.labels, temperature, data.labels, f"{data.name} test", pictures=pictures, **further
    )
    headline |= {f"membership_{name}": membership[name] for name in ("auc", "auc_interval")}
    return headline | ({f"privacy_{name}": privacy[name] for name in ("epsilon", "delta")} if privacy else {})
