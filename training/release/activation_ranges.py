"""How torchao's observers find the ranges of activations that int8 rounds."""

from __future__ import annotations

import dataclasses

import torch
from torchao.quantization.pt2e.observer import HistogramObserver, MinMaxObserver
from torchao.quantization.pt2e.quantizer import QuantizationSpec

from training.release.rounding import PERCENTILE, Ranges

_EPS = 2**-12  # smallest scale, as torchao has it for x86


class PercentileObserver(HistogramObserver):
    """Leave out a share of an activation's values, half of it at either end."""

    def _non_linear_param_search(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the range in the histogram; the base class looks for the least squared error here."""
        share = self.histogram.cumsum(0) / self.histogram.sum()
        outside = (1 - PERCENTILE / 100) / 2
        ends = torch.searchsorted(share, torch.tensor([outside, 1 - outside], dtype=share.dtype))
        width = (self.max_val - self.min_val) / self.bins
        low, high = ends.clamp(max=self.bins - 1)
        return self.min_val + low * width, self.min_val + (high + 1) * width


def observe_ranges(activations: QuantizationSpec, ranges: Ranges) -> QuantizationSpec:
    """Let activations find their ranges in a way: extremes, percentile or least error.

    Raises:
        KeyError: torchao has no such way.
    """
    observer = {"least error": HistogramObserver, "extremes": MinMaxObserver, "percentile": PercentileObserver}[ranges]
    return dataclasses.replace(activations, observer_or_fake_quant_ctr=observer.with_args(eps=_EPS))
