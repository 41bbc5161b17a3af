"""wrk, a load generator in C: the ceiling of a REST server, with every answer's status."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from loadtests.bench.ceiling import Ceiling, CeilingError

SCRIPT = Path(__file__).with_suffix(".lua")


def run_wrk(address: str, path: str, body: Path, *, callers: int, duration_s: float, headers: Sequence[str]) -> Ceiling:
    """Post a body from `callers` connections, one at a time each, for whole seconds.

    Raises:
        CeilingError: not installed, or an answer was not 2xx or 3xx, or none came.
    """
    program = shutil.which("wrk")
    if program is None:
        raise CeilingError("wrk is not installed; on Debian: apt-get install wrk")
    how = ["-t", "1", "-c", str(callers), "-d", f"{max(1, round(duration_s))}s", "-s", str(SCRIPT)]
    command = [program, *how, f"http://{address}{path}", "--", str(body), *headers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise CeilingError(f"wrk against {address} failed:\n{done.stdout}{done.stderr}") from error
    if failed := {name: said[name] for name in ("statuses", "connections", "timeouts") if said[name]}:
        counts = ", ".join(f"{count} by {name}" for name, count in failed.items())
        raise CeilingError(f"calls to {address} failed: {counts}, of {said['requests']} answered")
    if not said["requests"]:
        raise CeilingError(f"calls to {address} failed: wrk had no answer in {duration_s:g} s")
    return Ceiling(said["requests"] / said["duration_us"] * 1e6, said["mean_us"] / 1e3)
