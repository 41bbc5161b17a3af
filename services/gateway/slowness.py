"""Whether this server has become slow: it answers, health checks too, but only it knows how long that should take.

Requests differ in size, so a long one proves nothing; the golden rows are the same each time. They are timed when all
is ready, and again as soon as batches take suspiciously long. While they take too long, the edge is asked to send calls
elsewhere; nothing else changes, so that a fleet that is slow as a whole still answers.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from statistics import median
from time import monotonic
from typing import Final, NamedTuple

import structlog

from services.catalogue import ServedVariant
from services.example_requests import build_golden_requests
from services.gateway.errors import GatewayError
from services.gateway.grpc_messages import decode_request
from services.gateway.readiness import PROTOCOL
from services.gateway.tensors import InferAnswer, InferRequest

logger = structlog.get_logger("slowness")

LOOK_S: Final = 0.1
# Threads, neighbours and the garbage collector may take so long, whatever the golden rows take.
TOLERATED_S: Final = 0.2
ASK_AGAIN_S: Final = 1.0
# An edge that believes each good moment would send calls in turns.
HOLD_S: Final = 5.0
NUM_CALLS: Final = 3
# What is usual follows batches that are not suspicious, by this part of each look.
_FOLLOW: Final = 0.05


class Work(NamedTuple):
    """Of a version: packed calls under way, and sums over those that were answered."""

    num_calls: int
    num_answered: int
    busy_s: float


@dataclass(slots=True)
class _Version:
    """What is known of one version: `golden` asks for its golden rows, which should take `golden_s`."""

    golden: InferRequest
    golden_s: float
    work: Work
    changed_s: float
    usual_s: float = 0.0
    batch_s: float = 0.0  # the newest, or so far
    slow_since_s: float | None = None
    asked: InferRequest | None = None
    asked_s: float = 0.0
    asking: asyncio.Task[float | None] | None = None


class Slowness:
    """Tell of each version whether its golden rows take too long."""

    def __init__(
        self,
        factor: float,
        infer: Callable[[InferRequest], Awaitable[InferAnswer]],
        list_variants: Callable[[], list[ServedVariant]],
        read_work: Callable[[ServedVariant], Work],
        now: Callable[[], float] = monotonic,
    ) -> None:
        """`factor`: how many times as long as they should they may take; `list_variants` are those that are ready."""
        self._factor = factor
        self._infer = infer
        self._list_variants = list_variants
        self._read_work = read_work
        self._now = now
        self._versions: dict[str, _Version] = {}

    @property
    def is_slow(self) -> bool:
        """Whether any version is."""
        return any(map(self.is_version_slow, self._versions))

    def is_version_slow(self, name: str) -> bool:
        """Whether a version (model and version, as its variant is printed) is; unknown ones are not."""
        version = self._versions.get(name)
        return version is not None and version.slow_since_s is not None

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look at every version once: get to know it, or judge what was asked and ask where there is a reason."""
        variants = {str(variant): variant for variant in self._list_variants()}
        for name in self._versions.keys() - variants.keys():
            del self._versions[name]
        for name, variant in variants.items():
            version = self._versions.get(name)
            if version is None:
                known = await self._get_to_know(variant)
                if known is not None:
                    self._versions[name] = known
            else:
                self._look_at(version, variant)

    async def _get_to_know(self, variant: ServedVariant) -> _Version | None:
        golden = decode_request(build_golden_requests(variant)[0].request)
        golden.id, golden.protocol, golden.priority = f"pace-{variant.version}", PROTOCOL, 1
        # Named outputs make a batch of its own: with others' rows it would take as long as these.
        manifest = variant.manifest
        golden.outputs = tuple(manifest.default_outputs or (tensor.name for tensor in manifest.outputs))
        golden.packed = None
        golden.deadline_s = sys.float_info.max  # never refused: where all waits are long, only its answer says why
        certificate = variant.certificate
        if certificate is not None:
            golden_s: float | None = certificate.predict_batch_s(golden.inputs[0].shape[0])
        else:
            times_s = [await self._time(replace(golden)) for _ in range(NUM_CALLS)]
            answered_s = [seconds for seconds in times_s if seconds is not None]
            golden_s = median(answered_s) if answered_s else None
        if golden_s is None:
            return None
        return _Version(golden, golden_s, self._read_work(variant), self._now())

    def _look_at(self, version: _Version, variant: ServedVariant) -> None:
        now_s = self._now()
        is_suspicious = self._is_suspicious(version, self._read_work(variant), now_s)
        if version.asking is not None:
            self._judge(version, variant, now_s)
        elif (is_suspicious or version.slow_since_s is not None) and now_s - version.asked_s >= ASK_AGAIN_S:
            version.asked_s = now_s
            version.asked = replace(version.golden)
            version.asking = asyncio.create_task(self._time(version.asked))

    def _is_suspicious(self, version: _Version, work: Work, now_s: float) -> bool:
        """Say whether batches take far longer than is usual: those that ended since the last look, or one under way."""
        before = version.work
        if work.num_answered > before.num_answered:
            batch_s = (work.busy_s - before.busy_s) / (work.num_answered - before.num_answered)
            version.work, version.changed_s = work, now_s
        elif work.num_calls:
            batch_s = now_s - version.changed_s
        else:
            version.changed_s = now_s
            return False
        version.batch_s = batch_s
        if batch_s > self._allow(version.usual_s):
            return True
        if work.num_answered > before.num_answered:
            version.usual_s += _FOLLOW * (batch_s - version.usual_s)
        return False

    def _judge(self, version: _Version, variant: ServedVariant, now_s: float) -> None:
        assert version.asking is not None
        assert version.asked is not None
        allowed_s = self._allow(version.golden_s)
        took_s: float | None
        if version.asking.done():
            took_s = version.asking.result()
            version.asking, version.asked_s = None, now_s
        else:
            queue_s = version.asked.queue_s  # 0 while it waits for a worker
            took_s = now_s - version.asked_s - queue_s if queue_s else None
            if took_s is not None and took_s <= allowed_s:
                return
        if took_s is None:
            return
        if took_s > allowed_s:
            if version.slow_since_s is None:
                version.slow_since_s = now_s
                logger.warning(
                    "answers far more slowly than it should; the edge is asked to send calls elsewhere",
                    variant=str(variant),
                    took_ms=round(1e3 * took_s, 1),
                    should_take_ms=round(1e3 * version.golden_s, 1),
                )
        elif version.slow_since_s is None:
            version.usual_s = max(version.usual_s, version.batch_s)  # requests are larger than before, nothing more
        elif now_s - version.slow_since_s >= HOLD_S:
            version.slow_since_s, version.changed_s = None, now_s
            logger.warning("answers as fast as it should again", variant=str(variant), took_ms=round(1e3 * took_s, 1))

    def _allow(self, seconds: float) -> float:
        return max(self._factor * seconds, seconds + TOLERATED_S)

    async def _time(self, request: InferRequest) -> float | None:
        """Ask, and return for how long a worker was busy with it, in seconds; None if it was not answered."""
        try:
            await self._infer(request)
        except GatewayError:
            return None
        return request.compute_s
