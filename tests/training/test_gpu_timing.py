import time

import pytest
import torch

from host.cpu import count_cores
from training.gpu_timing import ON_CPU, Figures, measure, print_figures

CPU = torch.device("cpu")


def test_a_way_to_run_is_timed_by_rows_alone_and_two_at_once():
    opened = []

    def open_call():
        opened.append([])
        return lambda num_rows, calls=opened[-1]: (calls.append(num_rows), time.sleep(num_rows / 10_000))

    figures = measure("sleep", open_call, CPU, quality=0.9)
    assert figures.times_ms[0] < figures.times_ms[1] < figures.times_ms[2]
    assert 1.6 <= figures.times_ms[2] < 60
    assert figures.rows_per_s == pytest.approx(16_000 / figures.times_ms[2])
    assert set(opened[0]) == {*ON_CPU.nums_rows} == {1, 8, 16}
    assert set(opened[1]) == {16}  # the one beside it
    assert figures.together_rows_per_s > 0
    assert figures.memory_bytes is None


def test_the_table_has_a_line_for_each_way(capsys):
    common = {"nums_rows": (1, 8, 64)}
    one = Figures(
        name="a", quality=0.5, times_ms=(1, 2, 4), together_rows_per_s=20_000.4, memory_bytes=1_500_000, **common
    )
    other = Figures(
        name="(network)", quality=None, times_ms=(1, 2, 8), together_rows_per_s=1, memory_bytes=None, **common
    )
    print_figures([one, other])
    head, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head[:3] == ["quality", "1", "rows,"]
    assert first == ["a", "0.5000", "1.000", "2.000", "4.000", "16,000", "20,000", "1.5"]
    assert second == ["(network)", "1.000", "2.000", "8.000", "8,000", "1"]


def test_two_at_once_share_the_cores_and_leave_this_threads_alone():
    found = []
    before = torch.get_num_threads()
    measure("threads", lambda: lambda num_rows: found.append(torch.get_num_threads()), CPU)
    assert found[-1] == max(1, count_cores() // 2)
    assert torch.get_num_threads() == before


def test_one_that_breaks_beside_another_is_named_and_nobody_waits_for_it():
    opened = []

    def open_call():
        opened.append(None)
        return lambda num_rows, is_first=len(opened) == 1: None if is_first else 1 / 0

    with pytest.raises(ZeroDivisionError):
        measure("breaks", open_call, CPU)
