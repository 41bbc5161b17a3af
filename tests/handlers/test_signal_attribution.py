"""Attribution of signals on networks that weigh samples, of which one can say by hand what each counts."""

import numpy as np
import pytest
import torch

from handlers.differentiable import AttributionError
from handlers.signal_attribution import SignalAttribution
from training.sequences.scaling import measure_scale

WEIGHTS = torch.tensor([[1.0, 0.0, -2.0, 0.5], [0.0, 3.0, 1.0, -1.0]])


class Linear(torch.nn.Module):
    """Two classes for signals [N, 4], whose values are weighted sums."""

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return signal @ WEIGHTS.T


class Scaled(Linear):
    """The same of signals of any gain and offset, as the signal classifier takes them."""

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        level, scale = measure_scale(signal)
        return super().forward((signal - level) / scale)


def attribute(module, path, signals, **options):
    rows = {0: torch.export.Dim("rows", min=1, max=8)}
    program = torch.export.export(module, (torch.rand(2, 4),), dynamic_shapes=(rows,))
    torch.export.save(program, path / "main.pt2")
    return SignalAttribution(path / "main.pt2").attribute(np.array(signals, np.float32), **options)


def test_each_sample_counts_its_weighted_value(tmp_path):
    places, values = attribute(Linear(), tmp_path, [[1, 1, 1, 1], [4, 0, 1, 2]])
    assert values.tolist() == [[-0.5, 3], [3, -1]]  # the second class, then the first
    assert places == pytest.approx(np.array([[0, 3, 1, -1], [4, 0, -2, 1]]), abs=1e-5)
    assert places.dtype == np.float32


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (250, -3000)])
def test_a_scaled_signal_counts_by_its_deviation_whatever_its_gain_and_offset(tmp_path, gain, offset):
    places, values = attribute(Scaled(), tmp_path, [[gain * each + offset for each in (1, -1, -1, 1)]], target=0)
    assert places == pytest.approx(np.array([[1, 0, 2, 0.5]]), abs=1e-3)
    assert places.sum() == pytest.approx(values[0, 0], abs=1e-3)


def test_there_is_no_third_class_of_two(tmp_path):
    with pytest.raises(AttributionError, match="there is no class 2; the program tells 2 apart"):
        attribute(Linear(), tmp_path, [[1, 2, 3, 4]], target=2)
