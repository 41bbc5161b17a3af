"""Releases without downtime: what is served follows the store, the routing file and what callers may ask for.

Each look compares what should be served with what is. What is missing is loaded, warmed and asked for its golden rows
beside what answers; then callers find it, all at one moment; what nobody finds any more answers what it has, and goes.
A release that does not verify, start or answer as released takes nothing over: why is in the log, index and metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol

import structlog

from model_store.store import Store
from services.candidates import Candidates
from services.catalogue import ServedVariant
from services.gateway.backends import Backend
from services.gateway.core import Gateway
from services.gateway.errors import GatewayError, NotReadyError, UnknownModelError
from services.gateway.routing import Canary, Router, Routing, RoutingError, read_routing
from services.opened_releases import UNUSABLE, OpenedReleases
from services.selection import ModelPlan, Planner, Wish, make_catalogue
from services.torchserve.command import StartError
from services.watching import LOOK_S, watch_file, watch_store

logger = structlog.get_logger("serving")

RETRY_S = 0.5


class Engine(Backend, Protocol):
    """An engine whose variants may come and go."""

    async def load(self, variant: ServedVariant) -> None: ...
    async def unload(self, variant: ServedVariant) -> None: ...


class MismatchError(Exception):
    """A version computes something else than was released."""


class Lifecycle:
    """Keeps what is served as it should be."""

    def __init__(
        self,
        store: Store,
        wish: Wish,
        gateway: Gateway,
        engine: Engine,
        *,
        startup_timeout_s: float,
        on_change: Callable[[], None],
    ) -> None:
        """`gateway` and `engine` serve what the wish and the routing file came to at the start."""
        self._store = store
        self._wish = wish
        self._gateway = gateway
        self._engine = engine
        self._startup_timeout_s = startup_timeout_s
        self._on_change = on_change
        self._changed = asyncio.Event()
        self._settled = asyncio.Condition()
        self._releases = OpenedReleases(store, self._has_loaded)
        self._routing = Routing()
        self._routing_problem = ""
        self._loaded = {str(variant): variant for variant in gateway.catalogue.variants}
        self._serving = {model: _served_of(gateway, model) for model in gateway.catalogue.models}
        self._replaced: dict[str, list[ServedVariant]] = {}
        self._busy: set[str] = set()  # being loaded or unloaded
        self._refused: dict[tuple[str, str], str] = {}
        self._unloaded: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._candidates = Candidates(store, gateway, engine, self._changed.set)

    async def run(self) -> None:
        """Follow the store and the routing file until cancelled."""
        watchers = [asyncio.create_task(watch_store(self._store.root, self._changed))]
        if self._gateway.settings.routing is not None:
            watchers.append(asyncio.create_task(watch_file(self._gateway.settings.routing, self._changed)))
            watchers.append(asyncio.create_task(self._candidates.run()))
        try:
            while True:
                self._changed.clear()
                try:
                    await self.look()
                    await self._candidates.note_progress()
                except Exception:
                    logger.exception("what should be served could not be found out; trying again")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):  # wait_for may take a cancellation for its own
                        await self._changed.wait()
        finally:
            for task in (*watchers, *self._tasks):
                task.cancel()
            await asyncio.gather(*watchers, *self._tasks, return_exceptions=True)

    async def load(self, model: str) -> None:
        """Serve a model's current release; see gateway/model_control.py."""
        known = await asyncio.to_thread(self._store.models)
        if model not in known:
            raise UnknownModelError(f"the store has no model {model!r}; it has {', '.join(known) or 'none'}")
        self._unloaded.discard(model)
        if self._wish.models and not self._wish.follows(model):
            self._wish = replace(self._wish, models=(*self._wish.models, model))
        self._refused = {name: why for name, why in self._refused.items() if name[0] != model}
        self._changed.set()
        async with self._settled:
            await self._settled.wait_for(lambda: self._is_settled(model))
        why = next((why for (name, _), why in self._refused.items() if name == model), "")
        if model not in self._gateway.catalogue or why:
            raise NotReadyError(f"{model} cannot be served: {why or 'the store has no release of it'}")

    async def unload(self, model: str) -> None:
        """Serve a model no more; see gateway/model_control.py."""
        if model not in self._gateway.catalogue:
            raise UnknownModelError(f"there is no model {model!r}")
        self._unloaded.add(model)
        self._changed.set()
        async with self._settled:
            await self._settled.wait_for(lambda: model not in self._gateway.catalogue or model not in self._unloaded)

    async def look(self) -> None:
        """Compare what should be served with what is, and begin what is to be done."""
        wish, unloaded = self._wish, frozenset(self._unloaded)
        refused: dict[tuple[str, str], str] = {}
        plans = await asyncio.to_thread(self._plan, wish, unloaded, refused)
        if (wish, unloaded) != (self._wish, self._unloaded):
            self._changed.set()  # a caller asked for something else meanwhile
            return
        self._note_refused(refused, plans)
        wanted = {str(variant): variant for plan in plans.values() for variant in plan.variants}
        for name, variant in wanted.items():
            if name not in self._loaded and name not in self._busy and _key(variant) not in self._refused:
                self._begin(name, self._load(variant))
        self._renew(plans)
        self._serve({model: self._settle(model, plan) for model, plan in plans.items()})
        kept = {str(variant) for variant in self._gateway.catalogue.variants}
        for name, variant in list(self._loaded.items()):
            if name not in kept and name not in wanted and name not in self._busy:
                self._begin(name, self._retire(variant))
        self._on_change()
        async with self._settled:
            self._settled.notify_all()

    def _plan(self, wish: Wish, unloaded: frozenset[str], refused: dict[tuple[str, str], str]) -> dict[str, ModelPlan]:
        """Read store and routing file, in a thread of its own; what cannot be planned stays as it is."""

        def refuse(model: str, version: str, why: str) -> None:
            refused[model, version] = why

        planner = Planner(self._store, wish, self._releases.open, refuse)
        self._read_routing(planner)
        plans: dict[str, ModelPlan] = {}
        for model in wish.names(self._store):
            if model in unloaded or not self._store.releases(model):
                continue
            try:
                plans[model] = planner.plan_model(model, self._routing.of(model))
            except (*UNUSABLE, ValueError) as error:
                refuse(model, "", str(error))
                if model in self._serving:
                    plans[model] = self._serving[model]
        return plans

    def _read_routing(self, planner: Planner) -> None:
        """Take a changed routing file as a whole, or leave the one before in force until it can be taken."""
        path = self._gateway.settings.routing
        if path is None:
            return
        problem = ""
        try:
            routing = read_routing(path)
            if routing != self._routing:
                planner.check_routing(routing)
                self._routing = routing
                logger.info("routing", file=str(path), models=sorted(routing.models))
        except (RoutingError, *UNUSABLE) as error:
            problem = str(error)
        self._gateway.metrics.routing_refused.set(bool(problem))
        if problem and problem != self._routing_problem:
            logger.error("the routing file is refused; the one before stays in force", why=problem)
        self._routing_problem = problem

    def _settle(self, model: str, plan: ModelPlan) -> ModelPlan | None:
        """Say what of a plan can be served now: all of it once its default is there, else what was served before."""
        before = self._serving.get(model)
        if before is not None and not self._is_there(plan.default):
            plan = replace(before, candidates=plan.candidates)
        if not self._is_there(plan.default):
            return None
        return replace(
            plan,
            others=tuple(filter(self._is_there, plan.others)),
            candidates=tuple(filter(self._is_there, plan.candidates)),
        )

    def _serve(self, settled: dict[str, ModelPlan | None]) -> None:
        """Let callers find what is settled, all at one moment."""
        plans = {model: plan for model, plan in settled.items() if plan is not None}
        for model, plan in plans.items():
            before = self._serving.get(model)
            if before is None or before.default.version != plan.default.version:
                self._replaced[model] = []
                if before is not None:
                    version, instead = plan.default.version, before.default.version
                    logger.info("takes over", model=model, version=version, instead_of=instead)
                    if self._gateway.settings.keep_replaced:
                        self._replaced[model] = [before.default, *before.others]
        self._serving = plans
        served = {str(variant) for plan in plans.values() for variant in plan.variants}
        spares = [
            variant
            for model in plans
            for variant in self._replaced.get(model, ())
            if str(variant) not in served and self._is_there(variant)
        ]
        self._gateway.catalogue = make_catalogue(plans.items(), spares)
        canaries: dict[str, tuple[Canary, dict[str, ServedVariant]]] = {}
        for model, plan in plans.items():
            canary = self._routing.of(model).canary
            if canary is not None:
                canaries[model] = canary, {variant.version: variant for variant in plan.variants}
        self._gateway.router = Router(canaries) if canaries else None
        self._candidates.follow({model: (plan, self._routing.of(model)) for model, plan in plans.items()})

    def _renew(self, plans: dict[str, ModelPlan]) -> None:
        """Load again what has left the processor to others and now answers callers: a worker cannot take that back."""
        for model, plan in plans.items():
            rules = self._routing.of(model)
            canaries = [other for other in plan.candidates if rules.has_canary(other.version)]
            for variant in (plan.default, *plan.others, *canaries):
                name = str(variant)
                if self._candidates.has_yielded(variant) and name in self._loaded and name not in self._busy:
                    self._begin(name, self._retire(variant))

    async def _load(self, variant: ServedVariant) -> None:
        try:
            await self._engine.load(variant)
        except NotReadyError:  # the engine is being restarted
            await asyncio.sleep(RETRY_S)
            return
        except (StartError, OSError) as error:
            self._refuse(variant, str(error))
            return
        self._gateway.add(variant)
        try:
            async with asyncio.timeout(self._startup_timeout_s):
                await self._prove(variant)
        except (GatewayError, MismatchError, TimeoutError) as error:
            cause = error.cause if isinstance(error, GatewayError) else ""
            self._refuse(variant, f"{error or 'it did not answer in time'} {cause}".rstrip())
            self._gateway.remove(variant)
            await self._engine.unload(variant)
            return
        self._loaded[str(variant)] = variant

    async def _prove(self, variant: ServedVariant) -> None:
        while (error := await self._gateway.readiness.prove_one(variant)) is not None:
            if not isinstance(error, NotReadyError):
                raise error
            await asyncio.sleep(RETRY_S)  # its worker died: another comes
        mismatch = self._gateway.readiness.mismatch_of(variant)
        if mismatch:
            raise MismatchError(mismatch)

    async def _retire(self, variant: ServedVariant) -> None:
        await self._gateway.drain(variant, self._gateway.settings.drain_timeout_s)
        self._gateway.remove(variant)
        await self._engine.unload(variant)
        del self._loaded[str(variant)]
        self._candidates.forget(variant)
        logger.info("unloaded", variant=str(variant))

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        async def finish() -> None:
            try:
                await work
            except Exception:
                logger.exception("a version could not be loaded or unloaded", variant=name)
                await asyncio.sleep(RETRY_S)
            finally:
                self._busy.discard(name)
                self._changed.set()

        self._busy.add(name)
        task = asyncio.create_task(finish())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refuse(self, variant: ServedVariant, why: str) -> None:
        self._refused[_key(variant)] = why
        logger.error("may not serve", variant=str(variant), why=why)

    def _note_refused(self, found: dict[tuple[str, str], str], plans: dict[str, ModelPlan]) -> None:
        """Keep why something may not serve for as long as it should: what verifies now, or is gone, is forgotten."""
        wanted = {_key(variant) for plan in plans.values() for variant in plan.variants}
        for name, why in found.items():
            if self._refused.get(name) != why:
                logger.error("may not serve", model=name[0], release=name[1], why=why)
        self._refused = {name: why for name, why in self._refused.items() if name in wanted} | found
        for model, version in self._gateway.refused.keys() - self._refused.keys():
            self._gateway.metrics.release_refused.remove_by_labels({"model": model, "version": version})
        for name in self._refused:
            self._gateway.metrics.release_refused.labels(*name).set(1)
        self._gateway.refused = self._refused

    def _is_there(self, variant: ServedVariant) -> bool:
        return str(variant) in self._loaded and str(variant) not in self._busy

    def _has_loaded(self, model: str, number: int) -> bool:
        return any(name.startswith(f"{model} {number}-") for name in [*self._loaded])

    def _is_settled(self, model: str) -> bool:
        is_refused = any(name == model for name, _ in self._refused)
        return is_refused or model in self._gateway.catalogue or not self._wants(model)

    def _wants(self, model: str) -> bool:
        return model not in self._unloaded and bool(self._store.releases(model))


def _served_of(gateway: Gateway, model: str) -> ModelPlan:
    default = gateway.find_variant(model)
    others = [other for other in gateway.catalogue.required if other.model == model and other != default]
    return ModelPlan(default, tuple(others))


def _key(variant: ServedVariant) -> tuple[str, str]:
    return variant.model, variant.version
