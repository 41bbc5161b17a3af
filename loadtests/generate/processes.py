"""Load generators as processes of their own, so that measuring, scraping and generating do not hold each other up."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from host.child import end_with_parent
from loadtests.generate.lean_grpc import CallError
from loadtests.generate.plan import ClosedLoop, Distributed, OpenLoop, Probing, Remote, Scheduled
from loadtests.judge.rate_search import RateSearch
from loadtests.measure.recording import RECORDINGS, Part, Recording, merge_recordings

Plan = TypeVar("Plan", bound=Part)


class GeneratorError(RuntimeError):
    """A load generator broke; the message ends with what it printed."""


def run_closed_loop(plan: ClosedLoop, *, processes: int = 1) -> list[Recording]:
    """Run a sweep; with several processes each brings an equal share of the callers, for `least_s` a level.

    Raises:
        GeneratorError: the generator broke.
    """
    if processes > 1:
        callers = tuple(max(1, callers // processes) for callers in plan.callers)
        plan = plan.model_copy(update={"callers": callers, "most_s": plan.least_s, "spare_s": 0.0})
    outputs = _run("closed_loop", [plan] * processes)
    levels = zip(*(RECORDINGS.validate_json(output) for output in outputs), strict=True)
    return [merge_recordings(list(level)) for level in levels]


def run_remote_closed_loop(plan: ClosedLoop, remote: Remote) -> list[Recording]:
    """Run a sweep from workers on other machines.

    Raises:
        GeneratorError: too few workers came, or the generator broke.
    """
    return RECORDINGS.validate_json(_run("master", [Distributed(loop=plan, remote=remote)])[0])


def work_for(address: str) -> None:
    """Be a worker of one sweep after the other, until nobody asks for any.

    Raises:
        GeneratorError: no load test listens at the address, for some minutes.
    """
    command = [sys.executable, "-m", "loadtests.generate.worker", address]
    while True:
        done = subprocess.run(
            command, env=_environment(), stderr=subprocess.PIPE, text=True, preexec_fn=end_with_parent, check=False
        )
        if done.returncode != 0:
            raise GeneratorError(done.stderr.strip()[-4000:])


def run_open_loop(plan: OpenLoop, *, processes: int = 1) -> Recording:
    """Run one LoadGen scenario; with several processes each brings an equal share of the Server scenario's arrivals.

    Raises:
        GeneratorError: the generator broke.
    """
    plans = [
        plan.model_copy(update={"rate": plan.rate / processes, "seed": plan.seed + number})
        for number in range(processes)
    ]
    return merge_recordings([RECORDINGS.validate_json(output)[0] for output in _run("open_loop", plans)])


def run_rate_search(plan: Probing) -> RateSearch:
    """Search for the highest rate of random arrivals that holds a bound.

    Raises:
        GeneratorError: the generator broke.
    """
    return RateSearch.model_validate_json(_run("probing", [plan])[0])


def run_scheduled(plan: Scheduled) -> list[Recording]:
    """Send requests at times that a scenario says; one recording for each traffic.

    Raises:
        GeneratorError: the generator broke.
    """
    return RECORDINGS.validate_json(_run("scheduled", [plan])[0])


def follow_plan(kind: type[Plan], follow: Callable[[Plan], bytes]) -> None:
    """Be such a process: read the plan, follow it, write what came of it; the command line names both files."""
    plan = kind.model_validate_json(Path(sys.argv[1]).read_text())
    try:
        came = follow(plan)
    except CallError as error:
        sys.exit(f"the first request failed: {error}")
    except OSError as error:  # nobody listens, or too few workers came
        sys.exit(str(error))
    Path(sys.argv[2]).write_bytes(came)


def _run(module: str, plans: Sequence[Part]) -> list[bytes]:
    with tempfile.TemporaryDirectory(prefix="loadtest-") as folder:
        outputs = [Path(folder) / f"output{index}.json" for index in range(len(plans))]
        started: list[tuple[subprocess.Popen[bytes], Path]] = []
        try:
            for plan, output in zip(plans, outputs, strict=True):
                log, told = output.with_suffix(".log"), output.with_suffix(".plan")
                told.write_text(plan.model_dump_json())
                with log.open("wb") as file:
                    command = [sys.executable, "-m", f"loadtests.generate.{module}"]
                    process = subprocess.Popen(
                        [*command, str(told), str(output)],
                        stdout=file,
                        stderr=subprocess.STDOUT,
                        env=_environment(),
                        preexec_fn=end_with_parent,
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
        return [output.read_bytes() for output in outputs]


def _environment() -> dict[str, str]:
    # gRPC's fork handlers and info lines have no place in a generator.
    return {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "ERROR"}
