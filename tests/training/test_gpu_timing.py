import threading
import time

import pytest
import torch

from host.cpu import count_cores
from training import gpu_timing
from training.gpu_timing import ON_CPU, Figures, Way, measure, print_figures

CPU = torch.device("cpu")


def open_way(call, enter=lambda: None):
    return lambda: Way(call=call, enter=enter)


def test_a_way_to_run_is_timed_by_rows_alone_and_by_two_threads_at_once():
    called, entered = [], []

    def call(num_rows):
        called.append((threading.get_ident(), num_rows))
        time.sleep(num_rows / 10_000)

    figures = measure("sleep", open_way(call, lambda: entered.append(threading.get_ident())), CPU, quality=0.9)
    assert figures.times_ms[0] < figures.times_ms[1] < figures.times_ms[2]
    assert 1.6 <= figures.times_ms[2] < 60
    assert figures.rows_per_s == pytest.approx(16_000 / figures.times_ms[2])
    here = threading.get_ident()
    assert {num_rows for thread, num_rows in called if thread == here} == {*ON_CPU.nums_rows} == {1, 8, 16}
    assert {pair for pair in called if pair[0] != here} == {(thread, 16) for thread in entered}
    assert len({*entered}) == 2
    assert figures.together_rows_per_s > 0
    assert figures.memory_bytes is None


def test_what_only_one_thread_may_call_is_not_timed_by_two():
    threads = set()
    figures = measure("graphs", open_way(lambda num_rows: threads.add(threading.get_ident()), None), CPU)
    assert (figures.together_rows_per_s, threads) == (None, {threading.get_ident()})


def test_memory_is_what_the_driver_lacks_afterwards_whoever_took_it(monkeypatch):
    free = iter([5_000_000, 3_500_000])
    emptied = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (next(free), 10_000_000))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    monkeypatch.setattr(gpu_timing, "ON_GPU", ON_CPU)
    figures = measure("held", open_way(lambda num_rows: None, None), torch.device("cuda"))
    assert (figures.memory_bytes, emptied) == (1_500_000, [True])


def test_the_table_has_a_line_for_each_way(capsys):
    common = {"nums_rows": (1, 8, 64)}
    one = Figures(
        name="a", quality=0.5, times_ms=(1, 2, 4), together_rows_per_s=20_000.4, memory_bytes=1_500_000, **common
    )
    other = Figures(
        name="(network)", quality=None, times_ms=(1, 2, 8), together_rows_per_s=None, memory_bytes=None, **common
    )
    print_figures([one, other])
    head, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head[:3] == ["quality", "1", "rows,"]
    assert first == ["a", "0.5000", "1.000", "2.000", "4.000", "16,000", "20,000", "1.5"]
    assert second == ["(network)", "1.000", "2.000", "8.000", "8,000"]


def test_two_at_once_share_the_cores_and_leave_this_threads_alone():
    found = []
    before = torch.get_num_threads()
    measure("threads", open_way(lambda num_rows: found.append(torch.get_num_threads())), CPU)
    assert found[-1] == max(1, count_cores() // 2)
    assert torch.get_num_threads() == before


def test_one_that_breaks_beside_another_is_named_and_nobody_waits_for_it():
    entered = []

    def enter():
        entered.append(None)
        if len(entered) == 2:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measure("breaks", open_way(lambda num_rows: None, enter), CPU)
