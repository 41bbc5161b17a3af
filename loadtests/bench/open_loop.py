"""How many requests a second the open-loop generator sends on time, and what that costs."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from loadtests.bench.ratio import print_bar
from loadtests.bench.sink import run_sink
from loadtests.generate.arrivals import draw_arrivals
from loadtests.generate.plan import NO_BOUND_MS, OpenLoop, Traffic
from loadtests.generate.processes import run_open_loop
from loadtests.measure.recording import LATE_S
from model_store.examples import write_examples

# Requests a second, and the processes that are to send them.
LOADS = ((1000.0, 1), (3000.0, 2))
BAR_LATE_PERCENT, BAR_CORES = 1.0, 1.0
ROW_FLOATS = 150
WARM_UP_S = 1.0
BARE_S = 5.0


def measure_open_loop(*, measure_s: float, console: Console) -> bool:
    """Send random arrivals to a server that costs next to nothing; return whether all bars are reached."""
    reached = []
    with TemporaryDirectory(prefix="bench-") as folder, run_sink() as address:
        examples = Path(folder) / "examples.npz"
        write_examples(examples, {"x": np.zeros((1, ROW_FLOATS), np.float32)})
        traffic = Traffic(url=address, model="sink", version="1", examples_path=examples, input_names=("x",))
        for rate, processes in LOADS:
            plan = OpenLoop(
                traffic=traffic,
                scenario="Server",
                rate=rate,
                measure_s=measure_s,
                warm_up_s=WARM_UP_S,
                bound_ms=NO_BOUND_MS,
            )
            recording = run_open_loop(plan, processes=processes)
            cost, name = recording.cost, f"{rate:,.0f}/s from {processes} process(es)"
            console.print(
                f"{name}: {recording.num_offered / measure_s:,.0f}/s sent, {recording.num_errors} failed, "
                f"{cost.late_mean_ms:.3f} ms late on average, {cost.cpu_cores:.2f} cores"
            )
            late_percent = 100 * cost.late_share
            host_percent = 100 * measure_late_wakeups(rate / processes, BARE_S)
            console.print(
                f"of as many bare sleeps of an idle process {host_percent:.1f} % end as late: the host's part"
            )
            what = f"{name}: sent more than {1e3 * LATE_S:g} ms late"
            reached.append(print_bar(console, what, late_percent, BAR_LATE_PERCENT, at_least=False, unit=" %"))
            cores = cost.cpu_cores / processes
            reached.append(print_bar(console, f"{name}: cores each", cores, BAR_CORES, at_least=False))
            reached.append(recording.num_errors == 0)
    return all(reached)


def measure_late_wakeups(rate: float, measure_s: float) -> float:
    """Measure which share of sleeps to random times, so many a second, ends more than LATE_S late."""
    num_sleeps, num_late, start_s = max(1, round(rate * measure_s)), 0, time.perf_counter()
    for arrival_s in islice(draw_arrivals(rate, np.random.default_rng(0)), num_sleeps):
        time.sleep(max(0.0, start_s + arrival_s - time.perf_counter()))
        num_late += time.perf_counter() > start_s + arrival_s + LATE_S
    return num_late / num_sleeps
