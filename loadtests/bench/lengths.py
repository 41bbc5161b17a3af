"""Latency of short texts alone against short texts that are sent together with long ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from rich.console import Console

from loadtests.bench.ratio import measure_ratio, print_bar
from loadtests.generate.payload import read_rows
from loadtests.subject import Subject
from services.client import AsyncClient

BAR_RATIO = 2.0
CALLERS = 8
_TIMEOUT_S = 60.0


class LengthsError(ValueError):
    """The model has no input whose rows take longer the larger they are."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Rows of one BYTES input: the shortest of the examples, and long ones, made of several joined."""

    input_name: str
    short: Sequence[bytes]
    long: Sequence[bytes]


def read_texts(subject: Subject, *, joined: int) -> Texts:
    """Take the shortest examples of a model, and join `joined` of them at a time into long ones.

    Raises:
        LengthsError: no input's size sets its time.
    """
    names = [tensor.name for tensor in subject.manifest.inputs if tensor.size_sets_time]
    if not names:
        raise LengthsError(f"{subject.name} has no input of which the manifest says that its size sets the time")
    examples = read_rows(subject.examples_path, names[:1])[names[0]].ravel().tolist()
    ordered = sorted(examples, key=len)
    groups = [[examples[(start + step) % len(examples)] for step in range(joined)] for start in range(CALLERS)]
    return Texts(input_name=names[0], short=ordered[:CALLERS], long=[b" ".join(group) for group in groups])


def compare_lengths(
    subject: Subject, grpc_url: str, *, joined: int, repeats: int, measure_s: float, console: Console
) -> bool:
    """Compare short texts' mean latency with and without long ones beside them; return whether the bar is reached.

    The bar holds for texts that are sent together, long ones first. The second figure, of callers who never pause, is
    for information: there a short text also waits for a long one that is being answered already.
    """
    texts = read_texts(subject, joined=joined)
    console.print(
        f"{CALLERS} short texts of {fmean(map(len, texts.short)):.0f} bytes, "
        f"{CALLERS} long ones of {fmean(map(len, texts.long)):.0f}"
    )

    def measure(callers: str, beside: Sequence[bytes]) -> float:
        send = _send_together if callers == "together" else _send_without_pause
        return asyncio.run(send(subject, grpc_url, texts, beside, measure_s))

    ratios = {
        callers: measure_ratio(
            "beside long ones",
            lambda callers=callers: measure(callers, texts.long),  # type: ignore[misc]
            "alone",
            lambda callers=callers: measure(callers, ()),  # type: ignore[misc]
            unit="ms",
            repeats=repeats,
            console=console,
        )
        for callers in ("together", "without pause")
    }
    for callers, ratio in ratios.items():
        console.print(f"sent {callers}: {ratio}")
    value = ratios["together"].value
    return print_bar(console, "short texts sent together with long ones", value, BAR_RATIO, at_least=False, unit="×")


async def _send_together(subject: Subject, url: str, texts: Texts, beside: Sequence[bytes], measure_s: float) -> float:
    """Send everything at once, again when all is answered; returns the short texts' mean latency in milliseconds."""
    took_s: list[float] = []
    async with AsyncClient(url, timeout_s=_TIMEOUT_S) as client:
        end_s = time.perf_counter() + measure_s
        while not took_s or time.perf_counter() < end_s:
            calls = [_translate(client, subject, texts.input_name, text) for text in (*beside, *texts.short)]
            took_s += (await asyncio.gather(*calls))[len(beside) :]
    return 1e3 * fmean(took_s)


async def _send_without_pause(
    subject: Subject, url: str, texts: Texts, beside: Sequence[bytes], measure_s: float
) -> float:
    """Let a caller for each text send it again and again; returns the short texts' mean latency in milliseconds."""
    took_s: list[float] = []

    async def call_until(end_s: float, text: bytes, found: list[float]) -> None:
        while not found or time.perf_counter() < end_s:
            found.append(await _translate(client, subject, texts.input_name, text))

    async with AsyncClient(url, timeout_s=_TIMEOUT_S) as client:
        end_s = time.perf_counter() + measure_s
        long_callers = [call_until(end_s, text, []) for text in beside]
        await asyncio.gather(*long_callers, *(call_until(end_s, text, took_s) for text in texts.short))
    return 1e3 * fmean(took_s)


async def _translate(client: AsyncClient, subject: Subject, input_name: str, text: bytes) -> float:
    row = np.array([text], np.object_)
    started_s = time.perf_counter()
    await client.infer(subject.manifest.model, {input_name: row}, version=subject.manifest.version)
    return time.perf_counter() - started_s
