"""Ready is what an answer through this door has shown: that one comes, and that it is the one that was released."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

import structlog

from model_store.golden import GoldenAnswer
from model_store.tensors import decode_raw
from services.catalogue import ServedVariant
from services.example_requests import GoldenRequest, build_golden_requests
from services.gateway.backends import Backend
from services.gateway.errors import GatewayError
from services.gateway.grpc_messages import decode_request
from services.gateway.tensors import InferAnswer, InferRequest

logger = structlog.get_logger("readiness")

PROTOCOL = "self"
# A version that has answered nobody for so long is asked for its golden rows.
IDLE_S = 60.0
# Where callers take turns with it, chance decides whom the engine gives a golden row: one in 3,000 workers is missed.
_TRIES_PER_WORKER = 8


class Proven(NamedTuple):
    """What is known of readiness: whether all were ready once, the workers that answered, and who answers wrongly."""

    was_complete: bool
    workers: Mapping[str, frozenset[int]]
    mismatches: Mapping[str, str]


class Readiness:
    """Know which versions can answer: those that answer their own example as released, by workers that are still there.

    Nothing is ready before everything has answered, so that a starting server becomes ready at one moment. Later each
    version loses its readiness with its workers and regains it with an answer from new ones. A version that computes
    something else than was released is not ready until it answers right.
    """

    def __init__(
        self,
        backend: Backend,
        infer: Callable[[InferRequest], Awaitable[InferAnswer]],
        measure_idle_s: Callable[[ServedVariant], float],
    ) -> None:
        """`measure_idle_s` tells how long nobody has been answered by a version, 0 while somebody waits for it."""
        self._variants: dict[str, ServedVariant] = {}
        self._backend = backend
        self._infer = infer
        self._measure_idle_s = measure_idle_s
        self._requests: dict[str, list[GoldenRequest]] = {}
        self._proven: dict[str, frozenset[int]] = {}
        self._mismatches: dict[str, str] = {}
        self._was_complete = False

    def add(self, variant: ServedVariant) -> None:
        """Watch over one more version."""
        self._variants[str(variant)] = variant

    def remove(self, variant: ServedVariant) -> None:
        """Forget a version."""
        for known in (self._variants, self._requests, self._proven, self._mismatches):
            known.pop(str(variant), None)

    def describe(self) -> Proven:
        """Say what is known, for another gateway process."""
        return Proven(self._was_complete, dict(self._proven), dict(self._mismatches))

    def believe(self, proven: Proven) -> None:
        """Take over what another gateway process has found out."""
        self._was_complete = proven.was_complete
        self._proven, self._mismatches = dict(proven.workers), dict(proven.mismatches)

    @property
    def was_complete(self) -> bool:
        """Whether every version has answered at the same time, once."""
        return self._was_complete

    def is_ready(self, variant: ServedVariant) -> bool:
        """Say whether a version can answer now, and as released."""
        return self._was_complete and self._has_proven_worker(variant) and not self.mismatch_of(variant)

    def mismatch_of(self, variant: ServedVariant) -> str:
        """Say how a version's last answer to its golden rows was another one than was released; '' if it was not."""
        return self._mismatches.get(str(variant), "") if self._mismatches else ""

    async def prove(self) -> list[tuple[ServedVariant, GatewayError]]:
        """Ask each version whose workers have not answered yet for an inference; return those that failed, and why."""
        variants = list(self._variants.values())
        results = await asyncio.gather(*map(self.prove_one, variants))
        self._was_complete = self._was_complete or all(map(self._has_proven_worker, variants))
        return [(variant, error) for variant, error in zip(variants, results, strict=True) if error is not None]

    async def check_idle(self) -> None:
        """Ask each version that has answered nobody for a minute, one after another, whether its answers are right."""
        for variant in list(self._variants.values()):
            if self._has_proven_worker(variant) and self._measure_idle_s(variant) >= IDLE_S:
                try:
                    await self._check(variant, self._backend.ready_workers(variant))
                except GatewayError as error:
                    logger.warning("golden rows got no answer", variant=str(variant), why=f"{error} {error.cause}")

    async def prove_one(self, variant: ServedVariant) -> GatewayError | None:
        """Ask a version for an inference unless its workers have answered; return why it did not."""
        workers = self._backend.ready_workers(variant)
        if workers <= self._proven.get(str(variant), frozenset()):
            return None
        try:
            await self._check(variant, workers)
        except GatewayError as error:
            return error
        return None

    async def _check(self, variant: ServedVariant, workers: frozenset[int]) -> None:
        """Compare the workers' answers with what was released; remember who answered, and whether they are the same."""
        why, answered = "", workers
        for example in self._load_requests(variant):
            found, why_not = await self._ask_workers(variant, example, workers)
            why, answered = why or why_not, answered & found
        self._proven[str(variant)] = workers & (self._proven.get(str(variant), frozenset()) | answered)
        if missing := workers - self._proven[str(variant)]:
            logger.warning("workers were not reached with golden rows", variant=str(variant), workers=sorted(missing))
        known = self.mismatch_of(variant)
        if why:
            self._mismatches[str(variant)] = why
        else:
            self._mismatches.pop(str(variant), None)
        if why and not known:
            logger.error("computes something else than was released; not ready", variant=str(variant), why=why)
        elif known and not why:
            logger.warning("computes again what was released; ready", variant=str(variant))

    async def _ask_workers(
        self, variant: ServedVariant, example: GoldenRequest, workers: frozenset[int]
    ) -> tuple[frozenset[int], str]:
        """Repeat a request until each worker has answered it; returns who has, and why an answer was wrong, else ''.

        An engine chooses the worker itself (the one that has been idle longest), so the answers say who gave them.
        Where one does not, from an old archive or in pieces, all are taken for those that have answered.
        """
        why, answered = "", frozenset[int]()
        for _ in range(_TRIES_PER_WORKER * len(workers)):
            request = decode_request(example.request)
            request.id, request.protocol = f"ready-{variant.version}", PROTOCOL
            request.worker = 0 if len(workers) > 1 else None
            answer = await self._infer(request)
            why = why or next(filter(None, _explain_mismatches(answer, example.answers)), "")
            answered = answered | {request.worker} if request.worker else workers
            if workers <= answered:
                break
        return answered, why

    def _has_proven_worker(self, variant: ServedVariant) -> bool:
        return not self._backend.ready_workers(variant).isdisjoint(self._proven.get(str(variant), ()))

    def _load_requests(self, variant: ServedVariant) -> list[GoldenRequest]:
        """Read the examples once: the store may be gone when a worker comes back."""
        if str(variant) not in self._requests:
            self._requests[str(variant)] = build_golden_requests(variant)
        return self._requests[str(variant)]


def _explain_mismatches(answer: InferAnswer, expected: Iterable[GoldenAnswer]) -> Iterable[str]:
    found = {tensor.name: tensor for tensor in answer.outputs}
    for golden in expected:
        tensor = found.get(golden.output)
        if tensor is None:
            yield f"output {golden.output!r} is missing; there are {', '.join(found)}"
        else:
            yield golden.explain_mismatch(decode_raw(tensor.data, tensor.datatype, tuple(tensor.shape)))
