"""From a recipe to its labelled signals: generated electrocardiograms, or recordings."""

from __future__ import annotations

from pathlib import Path

import torch

from training.signal_classifier.recipe import Recipe
from training.signals.cardiogram import LABELS
from training.signals.recordings import GENERATED, SignalData, generate_signals, load_recordings


def load_data(source: str, root: Path, recipe: Recipe) -> SignalData:
    """Load `generated`, all conditions alike, or what `load_recordings` loads, and raises."""
    if source != GENERATED:
        return load_recordings(source, root, recipe.validation_fraction)
    counts = (recipe.num_train, recipe.num_validation, recipe.num_test)
    train, validation, test = (
        generate_signals(torch.arange(count) % len(LABELS), recipe, part) for part, count in enumerate(counts)
    )
    return SignalData(name=GENERATED, labels=LABELS, train=train, validation=validation, test=test)
