"""Streams at once: the time to the first token and the time of a step that they share.

All streams tell equally many tokens, greedily, so that every one is in every step: from the first to the last bit of a
stream there are as many steps as tokens, less one. The encoder's time is measured in a process of its own on as many
rows; the server is idle then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import fmean, median

import numpy as np
from rich.console import Console

from loadtests.bench.ratio import print_bar
from loadtests.bench.served import ask_rows_per_s, run_in_process
from loadtests.generate.payload import read_rows
from loadtests.subject import Subject
from model_store.release import Release
from services.client import AsyncClient
from services.client.inference import make_infer_call
from services.client.steps import Following

BAR_STEPS = 2.0
_ENCODER = "encoder"
_NEEDED = frozenset(("beam_size", "min_length", "max_length"))
_MEASURE_S = 2.0


class StreamingError(ValueError):
    """The model writes no token after another, or does not tell them so."""


def measure_streams(
    release: Release,
    subject: Subject,
    grpc_url: str,
    *,
    num_streams: int,
    num_tokens: int,
    repeats: int,
    console: Console,
) -> bool:
    """Compare the time to the first token, less the encoder's, with a step; return whether the bar is reached.

    Raises:
        StreamingError: the model does not stream, or is none whose tokens can be counted.
    """
    check_streams(subject)
    with run_in_process(release, subject, num_rows=num_streams, program=_ENCODER) as process:
        encoder_ms = 1e3 * num_streams / ask_rows_per_s(process, _MEASURE_S)
    firsts_ms, steps_ms = asyncio.run(_measure_rounds(subject, grpc_url, num_streams, num_tokens, repeats, console))
    first_ms, step_ms = median(firsts_ms), median(steps_ms)
    console.print(
        f"{num_streams} streams of {num_tokens} tokens: first token {first_ms:.2f} ms (p90 "
        f"{np.quantile(firsts_ms, 0.9):.2f}), of which the encoder {encoder_ms:.2f}; a step {step_ms:.2f} ms, "
        f"{1e3 * num_streams / step_ms:,.0f} tokens/s"
    )
    value = (first_ms - encoder_ms) / step_ms
    return print_bar(console, "first token after the encoder, in steps", value, BAR_STEPS, at_least=False)


def check_streams(subject: Subject) -> None:
    """Refuse a model that cannot be measured.

    Raises:
        StreamingError: says why.
    """
    names = {parameter.name for parameter in subject.manifest.parameters}
    if not subject.manifest.streams or not names >= _NEEDED:
        raise StreamingError(
            f"{subject.name} cannot be measured: it must stream and take {', '.join(sorted(_NEEDED))}; its manifest "
            f"says streams={subject.manifest.streams} and {', '.join(sorted(names)) or 'no parameters'}"
        )


async def _measure_rounds(
    subject: Subject, url: str, num_streams: int, num_tokens: int, repeats: int, console: Console
) -> tuple[list[float], list[float]]:
    """Open all streams at once, again and again; returns times to first tokens, and of steps, in milliseconds."""
    (name,) = subject.input_names
    rows = read_rows(subject.examples_path, (name,))[name].ravel()
    texts = [rows[index % len(rows)] for index in range(num_streams)]
    firsts_ms: list[float] = []
    steps_ms: list[float] = []
    async with AsyncClient(url, timeout_s=60.0) as client:
        for repeat in range(repeats + 1):
            start_s = time.perf_counter()
            heard = await asyncio.gather(*(_listen(client, subject, name, text, num_tokens) for text in texts))
            firsts = [1e3 * (times_s[0] - start_s) for times_s in heard]
            steps = [1e3 * (times_s[-1] - times_s[0]) / (num_tokens - 1) for times_s in heard]
            label = "warm-up" if repeat == 0 else f"round {repeat} of {repeats}"
            console.print(f"  {label}: first token {fmean(firsts):.2f} ms, step {fmean(steps):.2f} ms")
            if repeat:
                firsts_ms += firsts
                steps_ms += steps
    return firsts_ms, steps_ms


async def _listen(client: AsyncClient, subject: Subject, name: str, text: bytes, num_tokens: int) -> Sequence[float]:
    parameters = {"beam_size": 1, "min_length": num_tokens, "max_length": num_tokens}
    row = np.array([text], np.object_)
    call = make_infer_call(subject.manifest.model, {name: row}, parameters=parameters, version=subject.manifest.version)
    return [heard_s async for heard_s in client.follow(Following(call, lambda data: time.perf_counter()))]
