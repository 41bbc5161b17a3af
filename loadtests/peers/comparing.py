"""One peer beside our server, both up, measured in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from rich.console import Console

from host.child import end_with_parent
from host.ports import find_free_ports
from loadtests.addresses import Addresses
from loadtests.bench.ceiling import CeilingError
from loadtests.bench.ratio import Ratio, measure_ratio
from loadtests.measure.recording import Part
from loadtests.peers.catalogue import Peer, java_path
from loadtests.peers.doors import Door, open_ours, open_peer
from loadtests.peers.environments import PeerError, environment_of, make_environment
from loadtests.peers.program import SERVERS, PeerProgram

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.5
CALLERS = 32


class Figures(Part):
    """Ours over a peer's, pair by pair, with what both were in absolute terms."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    ratio: float
    lowest: float
    highest: float


class Comparison(Part):
    """What a comparison came to: requests a second at 32 callers, mean ms at one; or why there is none."""

    peer: str
    over: str
    throughput: Figures | None = None
    latency: Figures | None = None
    why_not: str = ""


def compare_peer(
    peer: Peer, program: PeerProgram, ours: Addresses, *, cache: Path, repeats: int, seconds: float, console: Console
) -> Comparison:
    """Install, start and measure a peer; one that cannot run says why instead."""
    over = "gRPC" if peer.form == "oip" else "REST"
    console.print(f"[bold]{peer.name}[/] ({over})")
    try:
        with run_peer(peer, _find_python(peer, program, cache), program) as door:
            if why := program.explain_mismatch(door.ask()):
                raise PeerError(why)
            our_door = open_ours(program, ours.grpc, ours.http, over_grpc=door.is_grpc)
            our_door.ask()
            throughput, latency = _measure(peer.name, our_door, door, program.folder, repeats, seconds, console)
    except (PeerError, CeilingError) as error:
        console.print(f"  cannot run: {error}", highlight=False, markup=False)
        return Comparison(peer=peer.name, over=over, why_not=str(error))
    return Comparison(peer=peer.name, over=over, throughput=_take(throughput), latency=_take(latency))


def _find_python(peer: Peer, program: PeerProgram, cache: Path) -> Path:
    if not peer.packages:
        return Path(sys.executable)
    name = f"{peer.name.lower().replace(' ', '-')}-{program.engine.name}"
    return make_environment(name, (*peer.packages, *program.engine.packages), cache)


@contextmanager
def run_peer(peer: Peer, python: Path, program: PeerProgram) -> Iterator[Door]:
    """Start a peer and stop it, with all that it started, at the end; yields once it has answered.

    Raises:
        PeerError: it ended, or did not answer in time; with the end of its log.
    """
    ports = find_free_ports(peer.num_ports)
    door = open_peer(peer.form, program, f"127.0.0.1:{ports[0]}", peer.path, as_list=peer.as_list)
    log = program.folder / f"{peer.name}.log"
    environment = environment_of(python) | {"PEER_CONFIG": str(program.config), "PYTHONPATH": str(SERVERS)}
    if not peer.packages:
        environment |= java_path()
    with log.open("wb") as output:
        process = subprocess.Popen(
            peer.command(python, ports, program),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=program.folder,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    try:
        _wait_for_answer(door, process, log)
        yield door
    finally:
        _stop(process)


def _wait_for_answer(door: Door, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + START_TIMEOUT_S
    said = ""
    while time.monotonic() < end_s and process.poll() is None:
        try:
            door.ask()
        except PeerError as error:
            said = str(error)
            time.sleep(POLL_S)
        else:
            return
    what = f"ended with {process.returncode}" if process.poll() is not None else f"no answer in {START_TIMEOUT_S:g} s"
    lines = log.read_text(errors="replace").strip().splitlines()[-6:]
    raise PeerError(f"{what} ({said}); its last lines: {' | '.join(lines)[-900:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a peer politely, then what is left of its session: some leave helpers behind."""
    family = [process.pid]
    with suppress(psutil.NoSuchProcess):
        family += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _measure(
    name: str, ours: Door, theirs: Door, folder: Path, repeats: int, seconds: float, console: Console
) -> tuple[Ratio, Ratio]:
    def measure_throughput(door: Door) -> float:
        return door.measure(folder, callers=CALLERS, seconds=seconds).requests_per_s

    def measure_latency_ms(door: Door) -> float:
        return door.measure(folder, callers=1, seconds=seconds).mean_ms

    sides = ("millrace", lambda: measure_throughput(ours), name, lambda: measure_throughput(theirs))
    throughput = measure_ratio(*sides, unit="requests/s", repeats=repeats, console=console)
    sides = ("millrace", lambda: measure_latency_ms(ours), name, lambda: measure_latency_ms(theirs))
    return throughput, measure_ratio(*sides, unit="ms", repeats=repeats, console=console)


def _take(ratio: Ratio) -> Figures:
    return Figures(
        ours=ratio.figures,
        theirs=ratio.other_figures,
        ratio=ratio.value,
        lowest=min(ratio.ratios),
        highest=max(ratio.ratios),
    )
