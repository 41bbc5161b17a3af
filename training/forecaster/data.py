"""Where series come from: generated ones, held out by their seed, or real ones, held out by their time.

Dimensions: N windows, L steps of context, H steps of horizon.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from model_store.series import fill_gaps, read_series
from training.engine.data_path import find_path
from training.engine.seeds import generator_for
from training.forecaster.bundled import load_bundled
from training.forecaster.process import draw_windows
from training.forecaster.recipe import Recipe
from training.forecaster.windows import Series, Windows, cut_windows

GENERATED, BUNDLED, FOLDER = "generated", "bundled", "folder"
DATA_SETS = {
    GENERATED: "trends, seasons, level shifts and noise, fresh in every step; held-out ones have a seed of their own",
    BUNDLED: "12 real series of statsmodels: CO2, sea temperature, sunspots, the economy; the last fifth is held out",
    "folder:PATH": "a CSV file (header, a column per series) or a folder of them, here or below --data-root; "
    "the last fifth is held out",
}
_TEST_SEED, _VALIDATION_SEED = 20_190_601, 20_190_602
_VALIDATION_START, _TEST_START = 0.7, 0.8


class Source(Protocol):
    """Windows to train on."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw windows float32 [count, L + H]."""


@dataclass(frozen=True)
class GeneratedSource:
    """Fresh windows for every draw."""

    recipe: Recipe

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        num_steps = self.recipe.context + self.recipe.horizon
        return draw_windows(count, num_steps, self.recipe.periods, generator).values


@dataclass(frozen=True)
class RecordedSource:
    """Windows of real series, each series as often as any other, and generated ones beside them."""

    values: tuple[Tensor, ...]
    recipe: Recipe

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        num_steps = self.recipe.context + self.recipe.horizon
        num_generated = round(count * self.recipe.generated_fraction)
        pieces = [GeneratedSource(self.recipe).sample(num_generated, generator)]
        for index in torch.randint(len(self.values), (count - num_generated,), generator=generator).tolist():
            values = self.values[index]
            start = int(torch.randint(len(values) - num_steps + 1, (), generator=generator))
            pieces.append(values[None, start : start + num_steps])
        return torch.cat(pieces)


@dataclass(frozen=True)
class SeriesData:
    """What a run trains on, and what it is measured with; no step of a test window's future is trained on."""

    name: str
    source: Source
    validation: Windows
    test: Windows


def load_data(data: str, data_root: Path, recipe: Recipe) -> SeriesData:
    """Load `generated`, `bundled` or `folder:PATH`.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: unknown data, a file that holds no series, or series that are all too short.
    """
    if data == GENERATED:
        return SeriesData(
            GENERATED,
            GeneratedSource(recipe),
            _generate(recipe, recipe.num_validation, _VALIDATION_SEED),
            _generate(recipe, recipe.num_test, _TEST_SEED),
        )
    if data == BUNDLED:
        return split_series(BUNDLED, load_bundled(), recipe)
    path = find_series(data, data_root)
    return split_series(path.stem, read_folder(path, recipe.period), recipe)


def split_series(name: str, series: Sequence[Series], recipe: Recipe) -> SeriesData:
    """Train on the first 70 % of each series, validate on the next tenth, test on the last fifth.

    Histories of held-out windows reach back into what was trained on, as they do in use; their futures do not.

    Raises:
        ValueError: no series is long enough for both training and a test window.
    """
    least = recipe.context + recipe.horizon
    usable = [each for each in series if _start(each, _VALIDATION_START) >= least]
    usable = [each for each in usable if len(each.values) - _start(each, _TEST_START) >= recipe.horizon]
    if not usable:
        longest = max(len(each.values) for each in series)
        needed = -(-10 * max(least / 7, recipe.horizon / 2) // 1)
        raise ValueError(
            f"{name} has no series of {needed:.0f} steps or more, the longest has {longest}; lower context or horizon"
        )
    if len(usable) < len(series):
        short = ", ".join(each.name for each in series if each not in usable)
        print(f"{name}: too short, left out: {short}", file=sys.stderr)
    trained = tuple(
        torch.from_numpy(each.values[: _start(each, _VALIDATION_START)].astype(np.float32)) for each in usable
    )
    before_test = [Series(each.name, each.values[: _start(each, _TEST_START)], each.period) for each in usable]
    sizes = (recipe.context, recipe.horizon, recipe.origin_stride)
    validation = cut_windows(before_test, [_start(each, _VALIDATION_START) for each in usable], *sizes)
    if not len(validation):
        # The tenth is shorter than a horizon: the last windows before the test part, partly trained on.
        validation = cut_windows(before_test, [len(each.values) - recipe.horizon for each in before_test], *sizes)
    test = cut_windows(usable, [_start(each, _TEST_START) for each in usable], *sizes)
    return SeriesData(name, RecordedSource(trained, recipe), validation, test)


def find_series(data: str, data_root: Path) -> Path:
    """Resolve `folder:PATH`, a file or a folder, here or below the data root.

    Raises:
        ValueError: the source has another form.
        FileNotFoundError: there is nothing at the path.
    """
    kind, _, name = data.partition(":")
    if kind != FOLDER or not name:
        raise ValueError(
            f"unknown data {data!r}; use {GENERATED}, {BUNDLED}, or folder:PATH with a CSV file or a folder"
        )
    return find_path(name, data_root)


def read_folder(path: Path, period: int) -> list[Series]:
    """Read every CSV file of a folder, or one file; gaps inside a series are filled by straight lines.

    Raises:
        FileNotFoundError: the folder holds no CSV file.
        ValueError: a file holds no series; names file and line.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"{path} holds no .csv file")
    prefix = len(files) > 1
    return [
        Series(f"{file.stem}/{name}" if prefix else name, fill_gaps(values), period)
        for file in files
        for name, values in read_series(file).items()
    ]


def _generate(recipe: Recipe, count: int, seed: int) -> Windows:
    drawn = draw_windows(count, recipe.context + recipe.horizon, recipe.periods, generator_for(seed))
    names = tuple(f"series {number}" for number in range(count))
    history, future = drawn.values[:, : recipe.context], drawn.values[:, recipe.context :]
    return Windows(history, future, drawn.period, names, np.arange(count))


def _start(series: Series, fraction: float) -> int:
    return round(fraction * len(series.values))
