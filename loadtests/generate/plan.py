"""What a generator is told: what to send, where to, and when. Each plan crosses to a process as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from loadtests.addresses import Addresses
from loadtests.judge.verdict import WELL_KNOWN
from loadtests.measure.recording import Part
from loadtests.subject import Subject
from services.client.tls import NO_TLS, Tls

# Longer than any answer takes: nothing is judged.
NO_BOUND_MS = 1e6


# The Open Inference Protocol over gRPC or REST, or the same request to TorchServe itself (over REST).
Protocol = Literal["grpc", "rest", "torchserve"]


class Traffic(Part):
    """What to send and where to; without a version, the server's own choice."""

    protocol: Protocol = "grpc"
    url: str
    tls: Tls = NO_TLS
    model: str
    version: str
    examples_path: Path
    input_names: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    rows_per_request: int = 1


class ClosedLoop(Part):
    """Each caller sends its next request when its last one is answered; one level after the other (Locust).

    A level lasts `least_s`, and up to `most_s` until its mean latency is known within the share `wanted_error` (95 %).
    What levels leave of their time, and `spare_s` from before, those may use that `most_s` did not tell enough of for a
    verdict.
    """

    traffic: Traffic
    callers: tuple[int, ...]
    warm_up_s: float
    least_s: float
    most_s: float
    wanted_error: float = WELL_KNOWN
    spare_s: float = 0.0


class Remote(Part):
    """Worker processes on other machines, which connect to host:port `address` (0.0.0.0: from everywhere)."""

    address: str
    num_workers: int


class Distributed(Part):
    """A closed loop whose callers are shared among remote workers; each level lasts `most_s`."""

    loop: ClosedLoop
    remote: Remote


class OpenLoop(Part):
    """A scenario of MLPerf's LoadGen; `rate` is the queries a second of the Server scenario.

    Server leaves out what comes due in the first `warm_up_s`; the others are warm from being calibrated.
    """

    traffic: Traffic
    scenario: Literal["Server", "Offline", "SingleStream", "MultiStream"]
    measure_s: float
    bound_ms: float
    warm_up_s: float = 0.0
    rate: float = 1.0
    max_in_flight: int = 4
    seed: int = 1


class Probing(Part):
    """Random arrivals at one rate after another, in search of the highest that holds a bound.

    A probe lasts until it is decided, at least `least_s` for a rate that holds and at most `most_s`; the search ends
    within `resolution` (a ratio of rates) or after `budget_s`.
    """

    traffic: Traffic
    bound_ms: float
    first_rate: float
    warm_up_s: float
    least_s: float
    most_s: float
    budget_s: float
    resolution: float
    seed: int = 1


class Scheduled(Part):
    """Requests at given times (seconds from the start, ascending), each to one of several traffics.

    They come due within `length_s`, the warm-up included. Several processes start at one time, `started` (Unix).
    """

    traffics: tuple[Traffic, ...]
    length_s: float
    started: float = 0.0
    times_s: tuple[float, ...]
    picks: tuple[int, ...]
    warm_up_s: float
    timeout_s: float


def aim(subject: Subject, addresses: Addresses, *, protocol: Protocol = "grpc", rows_per_request: int = 1) -> Traffic:
    """Aim traffic at one variant."""
    return Traffic(
        protocol=protocol,
        url=addresses.grpc if protocol == "grpc" else addresses.http,
        tls=addresses.tls,
        model=subject.manifest.model,
        version=subject.manifest.version,
        examples_path=subject.examples_path.resolve(),
        input_names=subject.input_names,
        outputs=subject.outputs,
        rows_per_request=rows_per_request,
    )
