"""Live answers while a candidate gets copies of all requests, and while it gets none: is one of them later for it?

One server, whose routing file is rewritten between the phases: the candidate is loaded in both.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import uvloop
from rich.console import Console

from loadtests.bench.arrivals import Call, find_capacity, send_poisson, without_garbage_collection
from loadtests.bench.ratio import print_bar
from loadtests.generate.lean_grpc import open_lean_channel
from loadtests.generate.payload import cut_batches, read_rows
from loadtests.subject import Subject
from services.client.wire import encode_infer_request

TIMEOUT_S = 10.0
# So few answers may change that no measurement is long enough to decide, and the copying goes on.
UNDECIDED_MARGIN = 1e-5
NO_COPIES = 1e-12
SETTLE_S = 2.0
PERCENTILES = (50, 90, 99)
BAR_LATER = {50: 1.03, 90: 1.05, 99: 1.1}


def write_routing(path: Path, subject: Subject, candidate: Subject, share: float) -> None:
    """Have a share of a version's requests copied to a candidate."""
    shadow = f"{{to: {candidate.manifest.version}, share: {share!r}, margin: {UNDECIDED_MARGIN!r}}}"
    version = subject.manifest.version
    path.write_text(f"models: {{{subject.manifest.model}: {{pin: {version}, shadow: {shadow}}}}}\n")


def compare_shadow(
    subject: Subject,
    candidate: Subject,
    address: str,
    routing: Path,
    count_copies: Callable[[], float],
    *,
    rows: int,
    load: float,
    repeats: int,
    measure_s: float,
    console: Console,
) -> bool:
    """Send Poisson traffic at a share of the capacity without and with copies in turn; return whether all bars are met.

    Latencies count from when a request was scheduled. Each pair is in the other order; the first one warms up.
    """
    batches = cut_batches(read_rows(subject.examples_path, subject.input_names), rows)
    bodies = [encode_infer_request(subject.manifest.model, batch) for batch in batches]
    ratios: dict[int, list[float]] = {percentile: [] for percentile in PERCENTILES}
    num_failed = 0
    with without_garbage_collection():
        rate = load * find_capacity(address, bodies, rows=rows, max_rows=subject.manifest.max_rows)
        console.print(f"{rate:,.1f} requests/s of {rows} rows to {subject.name}, copied to {candidate.name}")
        for repeat in range(repeats + 1):
            found: dict[float, np.ndarray] = {}
            for share in (NO_COPIES, 1.0) if repeat % 2 else (1.0, NO_COPIES):
                write_routing(routing, subject, candidate, share)
                time.sleep(SETTLE_S)
                copies = count_copies()
                calls = uvloop.run(_send(address, bodies, rate, measure_s))
                copies = count_copies() - copies
                num_failed += sum(call.status != "OK" for call in calls)
                found[share] = np.percentile([1e3 * call.took_s for call in calls], PERCENTILES)
                figures = ", ".join(f"p{p} {ms:.2f} ms" for p, ms in zip(PERCENTILES, found[share], strict=True))
                what = f"{copies:.0f} copies answered" if share == 1.0 else "no copies"
                console.print(f"  {'warm-up' if repeat == 0 else f'pair {repeat}'}, {what} of {len(calls)}: {figures}")
                if share == 1.0 and not copies:
                    console.print("no copy was answered: this says nothing of what copies cost")
                    return False
            if repeat:
                for percentile, ratio in zip(PERCENTILES, found[1.0] / found[NO_COPIES], strict=True):
                    ratios[percentile].append(float(ratio))
    reached = [print_bar(console, "failed calls", float(num_failed), 0.0, at_least=False)]
    for percentile, values in ratios.items():
        console.print(f"p{percentile} with ÷ without copies: {min(values):.3f} to {max(values):.3f}")
        name = f"p{percentile} with copies ÷ without"
        reached.append(print_bar(console, name, median(values), BAR_LATER[percentile], at_least=False, unit="×"))
    return all(reached)


async def _send(address: str, bodies: Sequence[bytes], rate: float, measure_s: float) -> Sequence[Call]:
    async with open_lean_channel(address) as channel:
        calls = await send_poisson(channel, bodies, rate, measure_s, TIMEOUT_S)
        while any(math.isinf(call.ended_s) for call in calls):
            await asyncio.sleep(0.01)
    return calls
