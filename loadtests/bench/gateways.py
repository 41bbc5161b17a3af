"""Several gateway processes against one, a tiny network behind both: what cores that workers leave free are worth."""

from __future__ import annotations

import contextlib

from rich.console import Console

from loadtests.bench.front_door import CALLERS, check_answer, release_tiny, serve_ours
from loadtests.bench.h2load import run_h2load
from loadtests.bench.ratio import measure_ratio
from model_store.open_inference import INFER_PATH


def compare_gateways(gateways: int, *, workers: int, repeats: int, measure_s: float, console: Console) -> None:
    """Serve the tiny program by so many processes and by one, measure both in turn, and print the ratio.

    There is no bar: it depends on the cores. Two workers or more keep them from being what is measured.

    Raises:
        FrontDoorError: a side did not start or answered wrongly.
        CeilingError: h2load is missing, or its calls failed.
    """
    with release_tiny(console) as (folder, body), contextlib.ExitStack() as servers:
        sides = {
            name: servers.enter_context(
                serve_ours(folder, settings={"gateways": number, "workers": workers}, name=name.replace(" ", "-"))
            )
            for name, number in ((f"{gateways} gateways", gateways), ("1 gateway", 1))
        }
        for name, address in sides.items():
            check_answer(name, address)

        def measure(name: str) -> float:
            return run_h2load(
                sides[name], INFER_PATH, body, callers=CALLERS, duration_s=measure_s, threads=gateways
            ).requests_per_s

        (several, one) = sides
        ratio = measure_ratio(
            *(several, lambda: measure(several), one, lambda: measure(one)),
            unit="requests/s",
            repeats=repeats,
            console=console,
        )
    console.print(f"{CALLERS} callers: {ratio}")
