"""From a worker's interpreter to its first answer, and the memory it has by then, of one variant's archive alone.

That is what a restarted worker costs where nothing is forked; `serve` forks its own from a process that has imported
all of it. Elapsed time counts whatever else runs on the machine, processor time does not: both are shown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console

from host.child import end_with_parent
from loadtests.bench.ratio import print_bar
from loadtests.bench.unpacked import unpack_archive
from loadtests.measure.neighbours import watch_neighbours
from loadtests.subject import Subject
from model_store.release import Release

# Of programs that need no torch.
BAR_READY_S = 1.5
BAR_MB = 250.0


class WorkerStart(NamedTuple):
    """What one start took; `ready_s` is elapsed time, the end of its interpreter included."""

    ready_s: float
    processor_s: float
    resident_mb: float


def measure_worker_start(release: Release, subject: Subject, *, repeats: int, console: Console) -> bool:
    """Start a variant's worker several times; return whether the bars are reached, which programs with torch lack.

    Raises:
        RuntimeError: the worker did not start.
    """
    starts = []
    with watch_neighbours() as neighbours:
        for start in start_workers(release, subject, repeats):
            starts.append(start)
            console.print(
                f"  {len(starts)} of {repeats}: first answer after {start.ready_s:.2f} s, {start.processor_s:.2f} s of "
                f"processor time, {start.resident_mb:.0f} MB resident"
            )
        around = neighbours().text
    ready_s, processor_s, resident_mb = (median(column) for column in zip(*starts, strict=True))
    what = f"worker of {subject.manifest.variant}"
    console.print(f"{what}: {processor_s:.2f} s of processor time to its first answer{around and f'; {around}'}")
    if subject.manifest.target.torch_version:
        console.print(f"{what}: {ready_s:.2f} s, {resident_mb:.0f} MB; the bars are for programs without torch")
        return True
    ready = print_bar(console, f"{what} → first answer", ready_s, BAR_READY_S, at_least=False, unit=" s")
    small = print_bar(console, f"{what}, resident", resident_mb, BAR_MB, at_least=False, unit=" MB")
    return ready and small


def start_workers(release: Release, subject: Subject, repeats: int) -> Iterator[WorkerStart]:
    """Start a variant's worker so many times, each in a process of its own, to its first answer to one row."""
    script = Path(__file__).with_name("first_answer.py")
    with unpack_archive(release, subject, 1) as unpacked:
        # -P: the script's own folder must not come before the archive's.
        command = [sys.executable, "-P", str(script), str(unpacked.folder), str(unpacked.request)]
        environment = os.environ | {"PYTHONPATH": str(unpacked.folder), "MILLRACE_THREADS": "1"}
        for _ in range(repeats):
            started_s = time.monotonic()
            done = subprocess.run(
                command,
                cwd=unpacked.folder,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                check=False,
                preexec_fn=end_with_parent,
            )
            if done.returncode != 0:
                raise RuntimeError(f"the worker of {subject.name} did not start; its traceback is above")
            found = json.loads(done.stdout.splitlines()[-1])
            yield WorkerStart(time.monotonic() - started_s, found["processor_s"], found["resident_bytes"] / 1e6)
