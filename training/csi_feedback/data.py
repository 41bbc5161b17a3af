"""Where channels come from: generated ones, held out by their seed, or the published files with their three parts.

Dimensions: N channels, T delay taps, A angles, M values of a codeword.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from training.csi_feedback.baselines import find_components
from training.csi_feedback.cost2100 import ENVIRONMENTS, read_parts
from training.csi_feedback.environment import INDOOR, OUTDOOR, Environment, draw_channels, normalize_power
from training.csi_feedback.recipe import Recipe
from training.engine.data_path import find_path
from training.engine.seeds import generator_for

GENERATED = {"indoor": INDOOR, "outdoor": OUTDOOR}
DATA_SETS = {
    "indoor": "generated: few narrow clusters, delay spread 50 ns; fresh in every step, held-out ones by their seed",
    "outdoor": "generated: more and wider clusters, delay spread 250 ns",
    "cost2100-indoor:PATH": "CsiNet's published channels: DATA_Htrainin.mat, DATA_Hvalin.mat and DATA_Htestin.mat in "
    "the folder PATH, here or below --data-root",
    "cost2100-outdoor:PATH": "the same, DATA_Htrainout.mat and so on",
}
_TEST_SEED, _VALIDATION_SEED, _FIT_SEED, _CALIBRATION_SEED = range(20_180_301, 20_180_305)


class Source(Protocol):
    """Channels to train on."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw channels float32 [count, T, A, 2], the mean power of each one's complex entries 1."""


@dataclass(frozen=True)
class GeneratedSource:
    """Fresh channels for every draw."""

    environment: Environment
    num_taps: int
    num_antennas: int

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return draw_channels(self.environment, count, generator, num_taps=self.num_taps, num_antennas=self.num_antennas)


@dataclass(frozen=True)
class RecordedSource:
    """Channels of a file, drawn with replacement, each turned by a phase of its own: phases are arbitrary."""

    channels: Tensor

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        drawn = self.channels[torch.randint(len(self.channels), (count,), generator=generator)]
        phase = 2 * torch.pi * torch.rand((count, 1, 1), generator=generator)
        turned = torch.view_as_complex(drawn) * torch.polar(torch.ones_like(phase), phase)
        return torch.view_as_real(turned)


@dataclass(frozen=True)
class CsiData:
    """What a run trains on, and what it is measured with; no test channel is ever trained on or chosen by."""

    name: str
    source: Source
    validation: Tensor
    test: Tensor
    num_fit: int
    code_size: int

    @cached_property
    def fit(self) -> Tensor:
        """Training channels that the baselines are made from, always the same ones."""
        return self.source.sample(self.num_fit, generator_for(_FIT_SEED))

    @cached_property
    def components(self) -> Tensor:
        """Principal components float32 [M, 2·T·A] of training channels."""
        return find_components(self.fit, self.code_size)


def load_data(data: str, data_root: Path, recipe: Recipe) -> CsiData:
    """Load generated or published channels.

    Raises:
        FileNotFoundError: there is nothing at the path, or a file is missing there.
        ValueError: unknown data, or a file that cannot be used.
    """
    sizes = (recipe.num_fit, recipe.code_size)
    if data in GENERATED:
        source = GeneratedSource(GENERATED[data], recipe.num_taps, recipe.num_antennas)
        validation = source.sample(recipe.num_validation, generator_for(_VALIDATION_SEED))
        return CsiData(data, source, validation, source.sample(recipe.num_test, generator_for(_TEST_SEED)), *sizes)
    kind, _, place = data.partition(":")
    if kind not in ENVIRONMENTS or not place:
        raise ValueError(f"unknown data {data!r}; use one of {', '.join(DATA_SETS)}")
    folder = find_path(place, data_root)
    parts = read_parts(folder, kind, num_taps=recipe.num_taps, num_antennas=recipe.num_antennas)
    train, validation, test = (normalize_power(channels) for channels in parts.values())
    return CsiData(kind, RecordedSource(train), validation[: recipe.num_validation], test[: recipe.num_test], *sizes)


def draw_calibration(data: CsiData, count: int) -> Tensor:
    """Training channels float32 [count, T, A, 2], always the same ones."""
    return data.source.sample(count, generator_for(_CALIBRATION_SEED))
