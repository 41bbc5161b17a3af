"""Servers whose behaviour is known exactly, in virtual time, and what is recorded of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from loadtests.judge.rate_search import Probe, decide
from loadtests.measure.recording import Recorder, Recording

REFUSED, FAILED = "RESOURCE_EXHAUSTED", "INTERNAL"
# Takes ascending arrival times in seconds; gives when each was answered, and what it was told instead ("" for answers).
Server = Callable[[np.ndarray], tuple[np.ndarray, Sequence[str]]]


def serve_in(service_s: float) -> Server:
    """Answer everything after a fixed time, however much there is."""
    return lambda arrivals: (arrivals + service_s, [""] * len(arrivals))


def serve_with_stalls(service_s: float, *, every_s: float, stall_s: float) -> Server:
    """Answer after a fixed time, except that nothing is answered in the last `stall_s` of every `every_s`."""

    def answer(arrivals: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
        finished = arrivals + service_s
        period = np.floor(finished / every_s)
        end = (period + 1) * every_s
        return np.where(finished > end - stall_s, end, finished), [""] * len(arrivals)

    return answer


def serve_with_errors(service_s: float, *, share: float) -> Server:
    """Answer a share of the requests with an error, at once."""

    def answer(arrivals: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
        fails = np.random.default_rng(5).random(len(arrivals)) < share
        return np.where(fails, arrivals, arrivals + service_s), [FAILED if fail else "" for fail in fails]

    return answer


def serve_one_by_one(capacity_per_s: float) -> Server:
    """Answer one after the other, each in the same time."""

    def answer(arrivals: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
        return serve_in_turn(arrivals, np.full_like(arrivals, 1 / capacity_per_s)), [""] * len(arrivals)

    return answer


def serve_in_turn(arrivals: np.ndarray, services_s: np.ndarray) -> np.ndarray:
    """When each was answered by a server that takes one after the other."""
    done_s = np.cumsum(services_s)
    # Source: Lindley's recursion, unrolled: a request waits for the longest run of work that ends with it.
    return done_s + np.maximum.accumulate(arrivals - (done_s - services_s))


def refuse_above(rate: float, service_s: float) -> Server:
    """Refuse, at once, what comes faster than a rate (a bucket of a tenth of a second)."""

    def answer(arrivals: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
        tokens = most = rate / 10
        finished, statuses, before_s = arrivals.copy(), [REFUSED] * len(arrivals), 0.0
        for index, arrival_s in enumerate(arrivals):
            tokens, before_s = min(most, tokens + rate * (arrival_s - before_s)), arrival_s
            if tokens >= 1:
                tokens -= 1
                finished[index], statuses[index] = arrival_s + service_s, ""
        return finished, statuses

    return answer


@dataclass(frozen=True)
class Run:
    """Exact latencies (s) of what was answered, and the recording of the same."""

    latencies_s: np.ndarray
    recording: Recording


def draw_arrivals(rate: float, length_s: float, seed: int = 1) -> np.ndarray:
    """Poisson arrivals."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * length_s * 1.5) + 20)
    times = np.cumsum(gaps)
    return times[times < length_s]


def run(
    server: Server,
    rate: float,
    length_s: float = 30.0,
    *,
    late_s: float = 0.0,
    overslept_s: float = 0.0,
    warm_up_s: float = 0.0,
) -> Run:
    """Offer random arrivals and record what becomes of them; of `late_s` the generator overslept a part."""
    arrivals = draw_arrivals(rate, warm_up_s + length_s)
    finished, statuses = server(arrivals + late_s)
    recorder = Recorder(started=0.0, warm_up_s=warm_up_s)
    for arrival_s, finished_s, status in zip(arrivals, finished, statuses, strict=True):
        if status:
            recorder.record_error(status, scheduled_s=arrival_s, finished_s=finished_s)
        else:
            turned_s = arrival_s + overslept_s
            recorder.record_scheduled(arrival_s, arrival_s + late_s, finished_s, turned_s=turned_s)
    answered = np.array([not status for status in statuses]) & (arrivals >= warm_up_s)
    recording = recorder.finish(duration_s=float(finished.max()) - warm_up_s, arrivals_s=length_s, cpu_s=1.0)
    return Run((finished - arrivals)[answered], recording)


def run_closed(service_s: Callable[[float], float], *, length_s: float = 10.0, callers: int = 1) -> Recording:
    """Let callers wait for their answers; the time of one may depend on when it is asked for."""
    recorder = Recorder(started=0.0)
    for caller in range(callers):
        time_s = caller / callers * service_s(0.0)
        while time_s < length_s:
            took_s = service_s(time_s)
            recorder.record(time_s + took_s, took_s)
            time_s += took_s
    return recorder.finish(duration_s=length_s, cpu_s=1.0)


def probe(server: Server, rate: float, bound_s: float, *, least_s: float, most_s: float, seed: int) -> Probe:
    """Offer arrivals until it is decided whether the rate holds a bound."""
    arrivals = draw_arrivals(rate, most_s, seed)
    finished, statuses = server(arrivals)
    latencies = np.where([bool(status) for status in statuses], np.inf, finished - arrivals)
    for look_s in np.arange(0.5, most_s + 0.5, 0.5):
        num = int(np.searchsorted(arrivals, look_s))
        outcome = decide(arrivals[:num], latencies[:num], bound_s=bound_s, percentile=99.0, block_s=4 * bound_s)
        if outcome == "fails" or (outcome == "holds" and look_s >= least_s):
            break
    over = int((latencies[:num] > bound_s).sum())
    return Probe(rate=rate, requests=num, over=over, seconds=float(look_s), outcome=outcome)
