"""Load generators as processes of their own, so that measuring, scraping and generating do not hold each other up."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from host.child import end_with_parent
from loadtests.generate.plan import ClosedLoop, Distributed, OpenLoop, Probing, Remote, Scheduled
from loadtests.generate.standing import Generator, GeneratorError, generator_environment, give_back, take_generator
from loadtests.judge.rate_search import RateSearch
from loadtests.measure.recording import RECORDINGS, Part, Recording, merge_recordings

# Within this time processes that send one schedule have been started and have connected.
TOGETHER_S = 3.0
# What listens for others has to let its port go.
HOLD_PORTS = ("master",)


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
            command,
            env=generator_environment(),
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,
            check=False,
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


def run_scheduled(plan: Scheduled, *, processes: int = 1) -> list[Recording]:
    """Send requests at times that a scenario says; one recording for each traffic.

    Several processes take the requests in turns: together they send what one would.

    Raises:
        GeneratorError: the generator broke.
    """
    started = time.time() + TOGETHER_S if processes > 1 else 0.0
    plans = [
        plan.model_copy(
            update={
                "times_s": plan.times_s[number::processes],
                "picks": plan.picks[number::processes],
                "started": started,
            }
        )
        for number in range(processes)
    ]
    outputs = [RECORDINGS.validate_json(output) for output in _run("scheduled", plans)]
    return [merge_recordings(list(recordings)) for recordings in zip(*outputs, strict=True)]


def _run(module: str, plans: Sequence[Part]) -> list[bytes]:
    generators: list[Generator] = []
    try:
        for plan in plans:
            generators.append(take_generator(module))
            generators[-1].tell(plan)
        outputs = [generator.hear() for generator in generators]
    except BaseException:
        for generator in generators:
            generator.end()
        raise
    for generator in generators:
        if module in HOLD_PORTS:
            generator.end()
        else:
            give_back(module, generator)
    return outputs
