"""Ready is what an answer through this door has shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from services.catalogue import ServedVariant
from services.example_requests import build_example_requests
from services.gateway.backends import Backend
from services.gateway.errors import GatewayError
from services.gateway.grpc_messages import decode_request
from services.gateway.tensors import InferAnswer, InferRequest

PROTOCOL = "self"


class Readiness:
    """Know which versions can answer: those that have answered their own example, by workers that are still there.

    Nothing is ready before everything is, so that a starting server becomes ready at one moment. Later each version
    loses its readiness with its workers and regains it with an answer from new ones.
    """

    def __init__(
        self,
        variants: Sequence[ServedVariant],
        backend: Backend,
        infer: Callable[[InferRequest], Awaitable[InferAnswer]],
    ) -> None:
        self._variants = tuple(variants)
        self._backend = backend
        self._infer = infer
        self._examples: dict[str, list[bytes]] = {}
        self._proven: dict[str, frozenset[int]] = {}
        self._was_complete = False

    @property
    def was_complete(self) -> bool:
        """Whether every version has answered at the same time, once."""
        return self._was_complete

    def is_ready(self, variant: ServedVariant) -> bool:
        """Say whether a version can answer now."""
        return self._was_complete and self._has_proven_worker(variant)

    async def prove(self) -> list[tuple[ServedVariant, GatewayError]]:
        """Ask each version whose workers have not answered yet for an inference; return those that failed, and why."""
        results = await asyncio.gather(*map(self._prove, self._variants))
        self._was_complete = self._was_complete or all(map(self._has_proven_worker, self._variants))
        return [(variant, error) for variant, error in zip(self._variants, results, strict=True) if error is not None]

    async def _prove(self, variant: ServedVariant) -> GatewayError | None:
        workers = self._backend.ready_workers(variant)
        if workers <= self._proven.get(str(variant), frozenset()):
            return None
        try:
            for example in self._load_examples(variant):
                request = decode_request(example)
                request.id, request.protocol = f"ready-{variant.version}", PROTOCOL
                await self._infer(request)
        except GatewayError as error:
            return error
        self._proven[str(variant)] = workers
        return None

    def _has_proven_worker(self, variant: ServedVariant) -> bool:
        return not self._backend.ready_workers(variant).isdisjoint(self._proven.get(str(variant), ()))

    def _load_examples(self, variant: ServedVariant) -> list[bytes]:
        """Read the examples once: the store may be gone when a worker comes back."""
        if str(variant) not in self._examples:
            self._examples[str(variant)] = build_example_requests(variant, 1)
        return self._examples[str(variant)]
