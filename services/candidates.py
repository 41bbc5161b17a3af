"""Candidates: who gets copies of answered requests by the routing, what is found of them, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

import structlog

from model_store.acts import Kind
from model_store.live_gate import GateProgress, write_progress
from model_store.store import Store
from services.catalogue import ServedVariant
from services.gateway.backends import Backend
from services.gateway.core import Gateway
from services.gateway.live_gate import GateMetrics, choose_margin
from services.gateway.routing import ModelRouting
from services.gateway.shadow import Copying, Shadows
from services.selection import ModelPlan

logger = structlog.get_logger("serving")


class Candidates:
    """Has candidates asked what others have answered, and keeps what is found."""

    def __init__(self, store: Store, gateway: Gateway, backend: Backend, on_decided: Callable[[], None]) -> None:
        self._store = store
        self._gateway = gateway
        self._on_decided = on_decided
        self._shadows = Shadows(gateway.infer, gateway.has_room, backend, self._decide)
        self._yielding: set[str] = set()  # their workers leave the processor to everybody else
        self._noted: dict[str, GateProgress] = {}
        gateway.metrics.registry.register(GateMetrics(self._shadows.report))

    async def run(self) -> None:
        """Ask the candidates until cancelled."""
        await self._shadows.run()

    def follow(self, plans: Mapping[str, tuple[ModelPlan, ModelRouting]]) -> None:
        """Copy requests so from now on, by what is served of each model and its rules."""
        copyings = [copying for plan, rules in plans.values() for copying in _list_copyings(plan, rules)]
        self._yielding |= {str(copying.candidate) for copying in copyings if copying.yields}
        self._shadows.change(copyings)
        self._gateway.answering.shadows = self._shadows if copyings else None

    def has_yielded(self, variant: ServedVariant) -> bool:
        """Say whether a version's workers leave the processor to others, which they cannot take back."""
        return str(variant) in self._yielding

    def forget(self, variant: ServedVariant) -> None:
        """Note that a version's workers have ended."""
        self._yielding.discard(str(variant))

    async def note_progress(self) -> None:
        """Leave in the store what is known of candidates, for `store show`."""
        for progress in self._shadows.report():
            before = self._noted.get(progress.model)
            if before is None or before.model_copy(update={"updated": progress.updated}) != progress:
                self._noted[progress.model] = progress
                try:
                    await asyncio.to_thread(write_progress, self._store.root, progress)
                except OSError as error:
                    logger.warning("the store cannot be written; `store show` knows of no live gate", why=str(error))

    async def _decide(self, copying: Copying, progress: GateProgress) -> None:
        """Sign what a live gate has found, where the routing says that it counts."""
        if copying.promote:
            kind: Kind = "promote" if progress.outcome == "pass" else "drop"
            acts = self._store.acts(progress.model)
            await asyncio.to_thread(acts.add, kind, progress.version, progress.in_words, progress.against)
        self._on_decided()


def _list_copyings(plan: ModelPlan, rules: ModelRouting) -> Iterator[Copying]:
    """Say who gets copies of a model's requests."""
    for candidate in (*plan.others, *plan.candidates):
        if rules.shadow is not None and candidate.version == rules.shadow.to:
            yield Copying(
                candidate=candidate,
                incumbent=plan.default,
                share=rules.shadow.share,
                margin=choose_margin(candidate, rules.shadow.margin),
                promote=rules.shadow.promote,
                yields=candidate in plan.candidates and not rules.has_canary(candidate.version),
            )
