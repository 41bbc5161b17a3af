"""Streams at once: the time to the first token and the time of a step that they share.

All streams tell equally many tokens, greedily, so that every one is in every step: from the first to the last bit of a
stream there are as many steps as tokens, less one. "After the encoder" is after the time that the encoder takes for all
texts at once, alone on the same cores; it is measured before each round, in a process of its own, while the server is
idle. All else that a caller waits for counts: both ways between caller and worker, and the first step itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from time import monotonic

import numpy as np
from rich.console import Console

from loadtests.bench.ratio import print_bar
from loadtests.bench.served import ask_rows_per_s, run_in_process
from loadtests.generate.lean_grpc import LeanChannel, open_lean_channel
from loadtests.generate.payload import read_rows
from loadtests.subject import Subject
from model_store.open_inference import STREAM_INFER_PATH
from model_store.release import Release
from services.client.inference import make_infer_call

BAR_STEPS = 2.0
_ENCODER = "encoder"
_NEEDED = frozenset(("beam_size", "min_length", "max_length"))
_MEASURE_S = 0.2
_TIMEOUT_S = 60.0
_METADATA = ((b"triton_grpc_error", b"true"),)  # a failed stream ends with its status


@dataclass(frozen=True)
class _Round:
    """Milliseconds of one round; the first token's are a caller's, at the median and at the 90th percentile."""

    encoder_ms: float
    first_ms: float
    first_p90_ms: float
    step_ms: float

    @property
    def steps_to_first(self) -> float:
        return (self.first_ms - self.encoder_ms) / self.step_ms


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

        def measure_encoder_ms() -> float:
            return 1e3 * num_streams / ask_rows_per_s(process, _MEASURE_S)

        rounds = asyncio.run(
            _measure_rounds(subject, grpc_url, num_streams, num_tokens, repeats, measure_encoder_ms, console)
        )
    step_ms = median(one.step_ms for one in rounds)
    console.print(
        f"{num_streams} streams of {num_tokens} tokens: first token {median(one.first_ms for one in rounds):.2f} ms "
        f"(p90 {median(one.first_p90_ms for one in rounds):.2f}), of which the encoder "
        f"{median(one.encoder_ms for one in rounds):.2f}; a step {step_ms:.2f} ms, "
        f"{1e3 * num_streams / step_ms:,.0f} tokens/s"
    )
    low, value, high = np.quantile([one.steps_to_first for one in rounds], (0.25, 0.5, 0.75))
    console.print(f"half of the rounds: {low:.2f} to {high:.2f} steps")
    return print_bar(console, "first token after the encoder, in steps", float(value), BAR_STEPS, at_least=False)


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
    subject: Subject,
    address: str,
    num_streams: int,
    num_tokens: int,
    repeats: int,
    measure_encoder_ms: Callable[[], float],
    console: Console,
) -> list[_Round]:
    """Open all streams at once, again and again; the first round warms up."""
    (name,) = subject.input_names
    rows = read_rows(subject.examples_path, (name,))[name].ravel()
    bodies = [_make_body(subject, name, rows[index % len(rows)], num_tokens) for index in range(num_streams)]
    rounds: list[_Round] = []
    async with open_lean_channel(address) as channel:
        for repeat in range(repeats + 1):
            encoder_ms = measure_encoder_ms()
            start_s = monotonic()
            heard = await asyncio.gather(*(_listen(channel, body) for body in bodies))
            firsts = [1e3 * (times_s[0] - start_s) for times_s in heard]
            steps = [1e3 * (times_s[-1] - times_s[0]) / (num_tokens - 1) for times_s in heard]
            one = _Round(encoder_ms, median(firsts), float(np.quantile(firsts, 0.9)), fmean(steps))
            label = "warm-up" if repeat == 0 else f"round {repeat} of {repeats}"
            console.print(
                f"  {label}: encoder {encoder_ms:.2f} ms, first token {one.first_ms:.2f} ms, step {one.step_ms:.2f} ms"
            )
            if repeat:
                rounds.append(one)
    return rounds


def _make_body(subject: Subject, name: str, text: bytes, num_tokens: int) -> bytes:
    parameters = {"beam_size": 1, "min_length": num_tokens, "max_length": num_tokens}
    row = np.array([text], np.object_)
    manifest = subject.manifest
    return make_infer_call(manifest.model, {name: row}, parameters=parameters, version=manifest.version).body


async def _listen(channel: LeanChannel, body: bytes) -> Sequence[float]:
    """Open a stream; returns when each of its answers came, in time.monotonic()'s seconds."""
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    times_s: list[float] = []
    channel.call(
        STREAM_INFER_PATH,
        body,
        _TIMEOUT_S,
        lambda status, rest, end_s: ended.set_result(status),
        on_message=lambda message, now_s: times_s.append(now_s),
        metadata=_METADATA,
    )
    status = await ended
    if status != "OK":
        raise StreamingError(f"a stream ended with {status} after {len(times_s)} answers; the server's log says why")
    return times_s
