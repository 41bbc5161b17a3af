"""h2load, nghttp2's load generator in C: the ceiling of a gRPC server on a small machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from loadtests.bench.ceiling import Ceiling, CeilingError
from services.client.credentials import KEY_HEADER

_UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_FINISHED = re.compile(r"finished in [\d.]+\w+, ([\d.]+) req/s")
_REQUESTS = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_STATUSES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")
_TIMES = re.compile(r"time for request:\s+(\S+)\s+(\S+)\s+(\S+)")


GRPC_HEADERS = ("content-type: application/grpc", "te: trailers")


def write_grpc_frame(message: bytes, path: Path) -> None:
    """Write a message as the body of a unary gRPC call."""
    path.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)


def run_h2load(
    address: str,
    path: str,
    body: Path,
    *,
    callers: int,
    duration_s: float,
    scheme: str = "http",
    key: str = "",
    headers: Sequence[str] = GRPC_HEADERS,
    http1: bool = False,
    threads: int = 1,
) -> Ceiling:
    """Post a body, a gRPC call's unless the headers say otherwise, from `callers` connections, one at a time each.

    h2load counts HTTP 200 as success whatever the gRPC status is: check one answer before.

    Raises:
        CeilingError: not installed, or calls failed.
    """
    program = shutil.which("h2load")
    if program is None:
        raise CeilingError("h2load is not installed; on Debian: apt-get install nghttp2-client")
    command = [
        program,
        "-t",
        str(threads),
        "-c",
        str(callers),
        "-m",
        "1",
        "-D",
        f"{round(duration_s * 1000)}ms",
        "--warm-up-time",
        "500ms",
    ]
    command += ["-d", str(body), *(word for header in headers for word in ("-H", header))]
    command += ["-H", f"{KEY_HEADER}: {key}"] if key else []
    command += ["--h1"] if http1 else []
    done = subprocess.run([*command, f"{scheme}://{address}{path}"], capture_output=True, text=True, check=False)
    output = done.stdout
    finished, requests, times = _FINISHED.search(output), _REQUESTS.search(output), _TIMES.search(output)
    statuses = _STATUSES.search(output)
    if done.returncode != 0 or not (finished and requests and times):
        raise CeilingError(f"h2load against {address} failed:\n{output}{done.stderr}")
    _, failed, errored, timed_out = map(int, requests.groups())
    # Over HTTP/1.1 it reads no status from a line without a reason, as TorchServe's, and counts each answer as failed.
    is_unread = http1 and statuses is not None and not any(map(int, statuses.groups()))
    if errored or timed_out or (failed and not is_unread):
        raise CeilingError(f"calls to {address} failed: {requests[0]}; {statuses[0] if statuses else 'no statuses'}")
    return Ceiling(float(finished[1]), _parse_ms(times[3]))


def _parse_ms(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    if match is None:
        raise CeilingError(f"h2load printed {text!r} where a time was expected")
    return float(match[1]) * _UNITS_MS[match[2]]
