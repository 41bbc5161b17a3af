import time

import pytest
import torch

from training import gpu_timing
from training.gpu_timing import Figures, measure, print_figures

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def shorter(monkeypatch):
    monkeypatch.setattr(gpu_timing, "_LEAST_S", 0.02)
    monkeypatch.setattr(gpu_timing, "_LEAST_CALLS", 3)


def test_a_way_to_run_is_timed_by_rows_alone_and_two_at_once():
    opened = []

    def open_call():
        opened.append([])
        return lambda num_rows, calls=opened[-1]: (calls.append(num_rows), time.sleep(num_rows / 10_000))

    figures = measure("sleep", open_call, CPU, quality=0.9)
    assert figures.times_ms[0] < figures.times_ms[1] < figures.times_ms[2]
    assert 6.4 <= figures.times_ms[2] < 60
    assert figures.rows_per_s == pytest.approx(64_000 / figures.times_ms[2])
    assert set(opened[0]) == {1, 8, 64}
    assert set(opened[1]) == {64}  # the one beside it
    assert figures.together_rows_per_s > figures.rows_per_s  # both sleep at once
    assert figures.memory_bytes is None


def test_the_table_has_a_line_for_each_way(capsys):
    one = Figures(name="a", quality=0.5, times_ms=(1, 2, 4), together_rows_per_s=20_000.4, memory_bytes=1_500_000)
    other = Figures(name="(network)", quality=None, times_ms=(1, 2, 8), together_rows_per_s=1, memory_bytes=None)
    print_figures([one, other])
    head, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head[:3] == ["quality", "1", "rows,"]
    assert first == ["a", "0.5000", "1.000", "2.000", "4.000", "16,000", "20,000", "1.5"]
    assert second == ["(network)", "1.000", "2.000", "8.000", "8,000", "1"]
