"""The ceiling of a REST server, by whichever generator is here."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from loadtests.bench.ceiling import Ceiling, CeilingError
from loadtests.bench.h2load import run_h2load
from loadtests.bench.wrk import run_wrk


def run_rest_load(
    address: str, path: str, body: Path, *, callers: int, duration_s: float, headers: Sequence[str]
) -> Ceiling:
    """Post a body over HTTP/1.1 by wrk, which reads every status; else by h2load, which reads none without a reason.

    Raises:
        CeilingError: neither is installed, or calls failed.
    """
    if shutil.which("wrk"):
        return run_wrk(address, path, body, callers=callers, duration_s=duration_s, headers=headers)
    if shutil.which("h2load"):
        return run_h2load(address, path, body, callers=callers, duration_s=duration_s, headers=headers, http1=True)
    raise CeilingError("neither wrk nor h2load is installed; on Debian: apt-get install wrk nghttp2-client")
