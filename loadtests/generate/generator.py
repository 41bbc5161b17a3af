"""Load generators as processes of their own, so that measuring, scraping and generating do not hold each other up."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from host.child import end_with_parent
from loadtests.measure.recording import Part, Recording, merge_recordings
from loadtests.subject import Subject

RECORDINGS = TypeAdapter(list[Recording])


class GeneratorError(RuntimeError):
    """A load generator broke; the message ends with what it printed."""


class Traffic(Part):
    """What to send and where to."""

    protocol: Literal["grpc", "rest"] = "grpc"
    url: str
    model: str
    version: str
    examples_path: Path
    input_names: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    rows_per_request: int = 1


class ClosedLoop(Part):
    """Each caller sends its next request when its last one is answered; one level after the other (Locust)."""

    traffic: Traffic
    callers: tuple[int, ...]
    warm_up_s: float
    measure_s: float


class OpenLoop(Part):
    """A scenario of MLPerf's LoadGen; `rate` is the queries a second of the Server scenario."""

    traffic: Traffic
    scenario: Literal["Server", "Offline", "SingleStream", "MultiStream"]
    measure_s: float
    bound_ms: float
    rate: float = 1.0
    max_in_flight: int = 4
    seed: int = 1


def aim(
    subject: Subject, *, url: str, protocol: Literal["grpc", "rest"] = "grpc", rows_per_request: int = 1
) -> Traffic:
    """Aim traffic at one variant."""
    return Traffic(
        protocol=protocol,
        url=url,
        model=subject.manifest.model,
        version=subject.manifest.version,
        examples_path=subject.examples_path.resolve(),
        input_names=subject.input_names,
        outputs=subject.outputs,
        rows_per_request=rows_per_request,
    )


def run_closed_loop(plan: ClosedLoop, *, processes: int = 1) -> list[Recording]:
    """Run a sweep; with several processes each brings an equal share of the callers.

    Raises:
        GeneratorError: the generator broke.
    """
    shares = [
        plan.model_copy(update={"callers": tuple(max(1, callers // processes) for callers in plan.callers)})
    ] * processes
    return [merge_recordings(list(level)) for level in zip(*_run("closed_loop", shares), strict=True)]


def run_open_loop(plan: OpenLoop) -> Recording:
    """Run one LoadGen scenario.

    Raises:
        GeneratorError: the generator broke.
    """
    return _run("open_loop", [plan])[0][0]


def _run(module: str, plans: Sequence[Part]) -> list[list[Recording]]:
    with tempfile.TemporaryDirectory(prefix="loadtest-") as folder:
        outputs = [Path(folder) / f"recording{index}.json" for index in range(len(plans))]
        started: list[tuple[subprocess.Popen[bytes], Path]] = []
        try:
            for plan, output in zip(plans, outputs, strict=True):
                log = output.with_suffix(".log")
                with log.open("wb") as file:
                    command = [
                        sys.executable,
                        "-m",
                        f"loadtests.generate.{module}",
                        plan.model_dump_json(),
                        str(output),
                    ]
                    process = subprocess.Popen(
                        command, stdout=file, stderr=subprocess.STDOUT, env=_environment(), preexec_fn=end_with_parent
                    )
                    started.append((process, log))
            for process, log in started:
                if process.wait() != 0:
                    raise GeneratorError(
                        f"loadtests.generate.{module} ended with {process.returncode}:\n{log.read_text()[-4000:]}"
                    )
        finally:
            for process, _ in started:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        return [RECORDINGS.validate_json(output.read_bytes()) for output in outputs]


def _environment() -> dict[str, str]:
    # gRPC's fork handlers and info lines have no place in a generator.
    return {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "ERROR"}
