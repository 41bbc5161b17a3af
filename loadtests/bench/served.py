"""A served variant against the same program in a process of its own, on the same cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from host.child import end_with_parent
from host.cpu import count_cores
from host.threads import share_cores
from loadtests.bench.ratio import measure_ratio, print_bar
from loadtests.bench.throughput import measure_rows_per_s
from loadtests.bench.unpacked import unpack_archive
from loadtests.subject import Subject
from model_store.release import Release

BAR_RATIO = 0.7


def compare_served(
    release: Release, subject: Subject, grpc_url: str, *, repeats: int, measure_s: float, console: Console
) -> bool:
    """Compare a served variant with its archive run in process; return whether the bar is reached."""
    variant = subject.manifest.variant
    with run_in_process(release, subject) as process:
        ratio = measure_ratio(
            f"served {variant}",
            lambda: measure_rows_per_s(subject, grpc_url, measure_s),
            "in process",
            lambda: ask_rows_per_s(process, measure_s),
            unit="rows/s",
            repeats=repeats,
            console=console,
        )
    console.print(str(ratio))
    return print_bar(console, f"served {variant} ÷ in process", ratio.value, BAR_RATIO, unit="×")


@contextmanager
def run_in_process(
    release: Release, subject: Subject, *, num_rows: int = 0, program: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """Unpack an archive and start its own handler on all cores; nothing of the checkout is used.

    It is measured on `num_rows`, by default a full batch: the whole of it, or one `program` that its inputs go into.
    """
    script = Path(__file__).with_name("in_process.py")
    with unpack_archive(release, subject, num_rows or subject.manifest.max_rows) as unpacked:
        arguments = {
            "folder": str(unpacked.folder),
            "request": str(unpacked.request),
            "threads": count_cores(),
            "program": program,
        }
        # -P: the script's own folder must not come before the archive's.
        command = [sys.executable, "-P", str(script), json.dumps(arguments)]
        process = subprocess.Popen(
            command,
            cwd=unpacked.folder,
            # As a worker's threads wait, so that both sides suffer alike from whatever else runs here.
            env={**os.environ, **share_cores()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,
        )
        try:
            if _read_line(process) != "ready":
                raise RuntimeError("the archive's handler did not start; its traceback is above")
            yield process
        finally:
            process.terminate()
            process.wait()


def ask_rows_per_s(process: subprocess.Popen[str], measure_s: float) -> float:
    """Let the in-process side measure for some seconds."""
    assert process.stdin is not None
    process.stdin.write(f"{measure_s}\n")
    process.stdin.flush()
    return float(_read_line(process))


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"the in-process side ended with {process.wait()}; its traceback is above")
    return line
