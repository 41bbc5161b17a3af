"""A finished run's network, as it was trained."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from training.classifier.network import build_network
from training.classifier.recipe import RETIRED, Recipe
from training.engine.overrides import from_record
from training.engine.pruning import fit_channels
from training.engine.runs import read_network, read_run
from training.images.normalization import Normalization
from training.images.splits import ImageData


def restore_network(run: Path) -> tuple[nn.Module, Normalization, Recipe, dict]:
    """Rebuild a run's network and pixel normalization; also return its recipe and what was stored with them.

    Raises:
        FileNotFoundError: the folder is no run, or the run did not finish.
    """
    recipe = from_record(Recipe, read_run(run)["recipe"], retired=RETIRED)
    stored = read_network(run)
    network = build_network(recipe, tuple(stored["shape"]), len(stored["labels"]))
    fit_channels(network, stored["network"])
    network.load_state_dict(stored["network"])
    channels = stored["shape"][2]
    normalization = Normalization(torch.zeros(channels), torch.ones(channels))
    normalization.load_state_dict(stored["normalization"])
    return network, normalization, recipe, stored


def check_same_task(run: Path, stored: dict, data: ImageData) -> None:
    """Refuse a run whose images or classes are not those of `data`.

    Raises:
        ValueError: says what differs.
    """
    if list(stored["shape"]) != list(data.shape):
        raise ValueError(f"{run} was trained on images of {list(stored['shape'])}, these are {list(data.shape)}")
    if list(stored["labels"]) != list(data.labels):
        raise ValueError(f"{run} was trained on other classes: {', '.join(stored['labels'])}")
