"""Electrocardiograms of patients that a process invents: one lead, in millivolts.

A beat is a sum of Gaussian waves around its R peak: P, Q, R, S and T, a second R′ and the ST segment. Beats follow each
other as the heart's rhythm says. What a condition changes is what it changes in a lead:

- premature ventricular beat: one beat or two come early, broad, without P and with T against it, and a pause follows;
- atrial fibrillation: intervals without order, no P, fibrillatory waves of 4 to 8 Hz in its place;
- bundle-branch block: QRS more than half as broad again, notched by R′, T mostly against it;
- ST elevation: the segment between S and T lies above the baseline.

Patients differ in rate, sinus arrhythmia, gain, heights, widths and places of all waves, and healthy ones have small P,
broad QRS, arrhythmia and lifted ST too, though less of it.
Source: McSharry, Clifford, Tarassenko and Smith 2003, IEEE Trans. Biomed. Eng. 50, 289–294: table I for the waves,
eq. 2 for the rhythm; here the solution for a constant angular velocity within a beat in place of the differential
equations, and QRS keeping its duration whatever the rate.
Dimensions: N patients, B beats, W waves, L samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LABELS = (
    "normal",
    "premature ventricular beat",
    "atrial fibrillation",
    "bundle-branch block",
    "ST elevation",
)
_NORMAL, _PREMATURE, _FIBRILLATION, _BLOCK, _ELEVATION = range(len(LABELS))
# Of a heart at 60 beats a minute: seconds from the R peak, standard deviations in seconds, heights as shares of R.
_P, _Q, _R, _S, _T, _R2, _ST = range(7)
_PLACES_S = (-0.167, -0.042, 0.0, 0.042, 0.250, 0.055, 0.110)
_WIDTHS_S = (0.025, 0.011, 0.013, 0.012, 0.055, 0.014, 0.040)
_HEIGHTS = (0.14, -0.12, 1.0, -0.25, 0.30, 0.0, 0.0)
_COMPLEX = (_Q, _R, _S, _R2)
_BEATS_PER_S = 2.5  # more than any rhythm here has
_LEAST_EXPONENT = -30.0  # numbers too small for a float's full precision take seven times as long
_ROWS = 16  # whose beats and samples stay in a cache


@dataclass
class _Beats:
    """Times of R peaks in seconds [N, B]; places, widths in seconds and heights of each beat's waves [N, B, W]."""

    times_s: Tensor
    places_s: Tensor
    widths_s: Tensor
    heights: Tensor


class _Draws:
    """Numbers for N patients."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator = count, generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(self.count, *shape, generator=self.generator)

    def factor(self, deviation: float, *shape: int) -> Tensor:
        """Log-normal numbers around 1."""
        return torch.exp(deviation * torch.randn(self.count, *shape, generator=self.generator))

    def happens(self, chance: float) -> Tensor:
        return torch.rand(self.count, generator=self.generator) < chance


def draw_cardiograms(labels: Tensor, num_samples: int, rate_hz: float, generator: torch.Generator) -> Tensor:
    """Draw clean signals float32 [N, L] in millivolts, each of a patient of its own with the condition `labels` [N]."""
    draws = _Draws(len(labels), generator)
    duration_s = num_samples / rate_hz
    intervals_s, typical_s = _draw_rhythm(labels, draws, duration_s)
    beats = _draw_waves(labels, intervals_s, typical_s, draws)
    _spread_conditions(labels, beats, draws)
    _come_early(labels, beats, typical_s, draws, duration_s)
    time_s = torch.arange(num_samples) / rate_hz
    signals = _sum_waves(beats, time_s) + _flutter(labels, draws, time_s)
    return signals * draws.uniform(0.6, 2.0, 1)


def _draw_rhythm(labels: Tensor, draws: _Draws, duration_s: float) -> tuple[Tensor, Tensor]:
    """Intervals [N, B] between R peaks in seconds, and each patient's typical one [N]; breathing sways them."""
    num_beats = math.ceil(duration_s * _BEATS_PER_S)
    typical_s = 60 / draws.uniform(50, 105)
    beat = torch.arange(num_beats) * typical_s[:, None]
    sway = draws.uniform(0.005, 0.09, 1) * torch.sin(
        2 * math.pi * draws.uniform(0.2, 0.35, 1) * beat + draws.uniform(0, 2 * math.pi, 1)
    )
    sway = sway + 0.02 * torch.sin(2 * math.pi * 0.1 * beat + draws.uniform(0, 2 * math.pi, 1))
    regular = 1 + sway + 0.01 * torch.randn(beat.shape, generator=draws.generator)
    chaotic = torch.exp(draws.uniform(0.10, 0.28, 1) * torch.randn(beat.shape, generator=draws.generator))
    share = torch.where((labels == _FIBRILLATION)[:, None], chaotic.clamp(0.5, 1.8), regular)
    return share * typical_s[:, None], typical_s


def _draw_waves(labels: Tensor, intervals_s: Tensor, typical_s: Tensor, draws: _Draws) -> _Beats:
    """Each patient's own waves, the same in all beats but for small changes; P and T move with the rate."""
    count, num_beats = intervals_s.shape
    num_waves = len(_HEIGHTS)
    heights = torch.tensor(_HEIGHTS) * draws.factor(0.3, num_waves)
    heights[:, _T] *= torch.where(draws.happens(0.08), -1.0, 1.0)
    heights[:, _P] *= torch.where(draws.happens(0.15), 0.4, 1.0)
    heights[:, _P] *= (labels != _FIBRILLATION).float()
    heights[:, _ST] = draws.uniform(-0.06, 0.07)
    rate = typical_s.sqrt()[:, None]
    moves = torch.ones(count, num_waves).index_copy(1, torch.tensor([_P, _T]), rate.expand(-1, 2))
    places_s = torch.tensor(_PLACES_S) * moves * draws.factor(0.08, num_waves)
    widths_s = torch.tensor(_WIDTHS_S) * draws.factor(0.12, num_waves) * draws.factor(0.1, 1)
    start_s = -draws.uniform(0, 1) * intervals_s[:, 0]
    times_s = start_s[:, None] + torch.cat([torch.zeros(count, 1), intervals_s[:, :-1]], 1).cumsum(1)

    def repeat(values: Tensor) -> Tensor:
        return values[:, None].repeat(1, num_beats, 1)

    changes = 1 + 0.03 * torch.randn(count, num_beats, num_waves, generator=draws.generator)
    return _Beats(times_s, repeat(places_s), repeat(widths_s), repeat(heights) * changes)


def _spread_conditions(labels: Tensor, beats: _Beats, draws: _Draws) -> None:
    """Change all beats of patients with a bundle-branch block or a lifted ST segment."""
    breadth, notch = draws.uniform(1.45, 2.3), draws.uniform(0.25, 0.8)
    against, lift = draws.happens(0.6), draws.uniform(0.09, 0.3)
    block, elevation = labels == _BLOCK, labels == _ELEVATION
    for wave in _COMPLEX:
        beats.widths_s[block, :, wave] *= breadth[block, None]
        beats.places_s[block, :, wave] *= breadth[block, None]
    beats.heights[block, :, _R2] = (notch[block, None] * beats.heights[block, :, _R]).clone()
    beats.heights[block & against, :, _T] *= -1
    beats.heights[elevation, :, _ST] += lift[elevation, None]


def _come_early(labels: Tensor, beats: _Beats, typical_s: Tensor, draws: _Draws, duration_s: float) -> None:
    """Make one beat in the middle half of the signal, or the next but one too, a premature ventricular one."""
    share, breadth, size = draws.uniform(0.2, 0.45), draws.uniform(2.0, 3.2), draws.uniform(0.9, 1.8)
    upside_down, twice, where_s = draws.happens(0.5), draws.happens(0.3), draws.uniform(0.25, 0.75) * duration_s
    first = (beats.times_s - where_s[:, None]).abs().argmin(1)
    for row in (labels == _PREMATURE).nonzero()[:, 0].tolist():
        last = beats.times_s.shape[1] - 1
        for beat in {int(first[row]), min(int(first[row]) + 2, last) if twice[row] else int(first[row])}:
            beats.times_s[row, beat] -= share[row] * typical_s[row]
            beats.widths_s[row, beat, list(_COMPLEX)] *= breadth[row]
            beats.places_s[row, beat, list(_COMPLEX)] *= breadth[row]
            sign = -1.0 if upside_down[row] else 1.0
            beats.heights[row, beat, list(_COMPLEX)] *= sign * size[row]
            beats.heights[row, beat, _T] = -sign * beats.heights[row, beat, _T].abs() * size[row]
            beats.places_s[row, beat, _T] *= 1.2
            beats.heights[row, beat, _P] = 0.0


def _sum_waves(beats: _Beats, time_s: Tensor) -> Tensor:
    """Signals [N, L] of all waves of all beats."""
    parts = []
    for rows in torch.arange(len(beats.times_s)).split(_ROWS):
        signal = torch.zeros(len(rows), len(time_s))
        for wave in range(beats.heights.shape[2]):
            centre_s = (beats.times_s[rows] + beats.places_s[rows, :, wave])[..., None]
            distance = (time_s - centre_s).div_(beats.widths_s[rows, :, wave, None] * math.sqrt(2))
            shape = distance.square_().neg_().clamp_min_(_LEAST_EXPONENT).exp_()
            signal += torch.einsum("nb,nbl->nl", beats.heights[rows, :, wave], shape)
        parts.append(signal)
    return torch.cat(parts)


def _flutter(labels: Tensor, draws: _Draws, time_s: Tensor) -> Tensor:
    """The atria's own waves [N, L] where they fibrillate, zeros elsewhere."""
    total = torch.zeros(len(labels), len(time_s))
    for _ in range(2):
        phase = 2 * math.pi * draws.uniform(4, 8, 1) * time_s + draws.uniform(0, 2 * math.pi, 1)
        total = total + draws.uniform(0.01, 0.05, 1) * phase.sin()
    return total * (labels == _FIBRILLATION)[:, None]
