"""What else ran on the machine during a run: the first suspect when figures are noisy."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psutil

from loadtests.measure.recording import Part

NUM_NAMED = 3
LEAST_CORES = 0.05


class Neighbour(Part):
    """Processes of one name, and how many cores they kept busy."""

    name: str
    cores: float


class Neighbours(Part):
    """Cores that were busy with neither the load test nor the server it started.

    `cores` counts everything, also what lies outside this container and has no name here; `stolen_cores` went to other
    machines on the same host.
    """

    cores: float
    stolen_cores: float
    named: tuple[Neighbour, ...] = ()

    @property
    def text(self) -> str:
        """One phrase, or nothing where the machine was quiet."""
        parts = [f"{neighbour.name} {neighbour.cores:.1f}" for neighbour in self.named]
        if self.stolen_cores >= LEAST_CORES:
            parts.append(f"other machines of this host {self.stolen_cores:.1f}")
        if not parts and self.cores < LEAST_CORES:
            return ""
        return f"others kept {self.cores + self.stolen_cores:.1f} cores busy" + (
            f" ({', '.join(parts)})" if parts else ""
        )


def average_neighbours(seen: Sequence[Neighbours]) -> Neighbours:
    """Average over runs."""
    count = max(len(seen), 1)
    named: defaultdict[str, float] = defaultdict(float)
    for neighbours in seen:
        for neighbour in neighbours.named:
            named[neighbour.name] += neighbour.cores / count
    return Neighbours(
        cores=sum(neighbours.cores for neighbours in seen) / count,
        stolen_cores=sum(neighbours.stolen_cores for neighbours in seen) / count,
        named=_name_busiest(named),
    )


@contextmanager
def watch_neighbours() -> Iterator[Callable[[], Neighbours]]:
    """Watch until the yielded function is called; processes below this one are not neighbours."""
    start_s, before, machine = time.monotonic(), _read_cpu_s(), psutil.cpu_times()
    ended_s = _ended_children_s(psutil.Process())  # generators end before they could be asked

    def describe() -> Neighbours:
        length_s = time.monotonic() - start_s
        after, now = _read_cpu_s(), psutil.cpu_times()
        this = psutil.Process()
        own = {this.pid, *(process.pid for process in this.children(recursive=True))}
        found: defaultdict[str, float] = defaultdict(float)
        for (pid, created), (name, cpu_s) in after.items():
            if pid not in own:
                found[name] += (cpu_s - before.get((pid, created), ("", 0.0))[1]) / length_s
        own_s = sum(cpu_s - before.get(key, ("", 0.0))[1] for key, (_, cpu_s) in after.items() if key[0] in own)
        own_s += _ended_children_s(this) - ended_s
        busy_s = _busy_s(now) - _busy_s(machine)
        stolen_s = getattr(now, "steal", 0.0) - getattr(machine, "steal", 0.0)
        return Neighbours(
            cores=max(0.0, (busy_s - own_s) / length_s),
            stolen_cores=max(0.0, stolen_s / length_s),
            named=_name_busiest(found),
        )

    yield describe


def _name_busiest(cores: Mapping[str, float]) -> tuple[Neighbour, ...]:
    busiest = sorted(cores.items(), key=lambda item: item[1], reverse=True)[:NUM_NAMED]
    return tuple(Neighbour(name=name, cores=share) for name, share in busiest if share >= LEAST_CORES)


def _read_cpu_s() -> dict[tuple[int, float], tuple[str, float]]:
    """Processor seconds of every process, by pid and time of creation."""
    found = {}
    for process in psutil.process_iter(["name", "cpu_times", "create_time"]):
        times = process.info["cpu_times"]
        if times is not None:  # None: not ours to see
            found[process.pid, process.info["create_time"]] = (process.info["name"], times.user + times.system)
    return found


def _ended_children_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.children_user + times.children_system)


def _busy_s(times: Any) -> float:
    names = ("user", "system", "nice", "irq", "softirq")
    return sum(float(getattr(times, name, 0.0)) for name in names)
