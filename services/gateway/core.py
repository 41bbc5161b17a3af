"""The front door without its transports: which model answers, whether it can, and what it says."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping
from functools import partial
from time import monotonic
from typing import Any

from model_store.live_gate import GateProgress
from services.catalogue import Catalogue, ServedVariant
from services.gateway.answering import Answering
from services.gateway.backends import Backend
from services.gateway.drift import DriftMetrics, DriftMonitor
from services.gateway.edges import TrustedEdges
from services.gateway.errors import UnknownModelError
from services.gateway.journal import Journal
from services.gateway.load_reports import Load, LoadReports
from services.gateway.metrics import Metrics
from services.gateway.model_config import describe_config
from services.gateway.model_control import ModelControl, NoModelControl
from services.gateway.peers import Peers
from services.gateway.readiness import PROTOCOL, Readiness
from services.gateway.recent_errors import RecentError
from services.gateway.routing import Router
from services.gateway.served_model import ServedModel
from services.gateway.settings import GatewaySettings
from services.gateway.slowness import Slowness, Work
from services.gateway.tensors import InferAnswer, InferRequest

NAME = "millrace"
# Named as Triton names them; the binary tensor extension is REST's.
EXTENSIONS = (
    "model_repository",
    "model_configuration",
    "statistics",
    "binary_tensor_data",
    "parameters",
    "schedule_policy",
    "generate",
)
# A version without work for so long has answered what came before callers ceased to find it.
QUIET_S = 0.1


class Gateway:
    """Everything a transport may ask for."""

    def __init__(self, catalogue: Catalogue, backend: Backend, settings: GatewaySettings) -> None:
        self.catalogue = catalogue
        self.settings = settings
        self._backend = backend
        self.metrics = Metrics()
        self.metrics.tasks.set_function(partial(_count_tasks, asyncio.get_running_loop()))
        self.journal = Journal(self.metrics, settings)
        self.is_draining = False
        self.guard = settings.make_guard()
        self.edges = TrustedEdges(settings.trusted_edges) if settings.trusted_edges else None
        self._ids = itertools.count(1)
        self._id_prefix = os.urandom(3).hex()
        self.router: Router | None = None  # none: there are no canaries
        self.control: ModelControl = NoModelControl()
        self.peers: Peers | None = None  # none: this process is the whole server
        self.refused: Mapping[tuple[str, str], str] = {}  # model and version of releases that may not serve, and why
        self._models: dict[tuple[str, str], ServedModel] = {}
        self.load_reports = LoadReports(self._read_load) if settings.load_reports else None
        self.drift = DriftMetrics(self._drift_monitors)
        self.metrics.registry.register(self.drift)
        self.readiness = Readiness(backend, self.infer, self._measure_idle_s)
        self.answering = Answering(
            settings,
            self.metrics,
            self.journal,
            self.guard,
            find_model=self._find_model,
            find_mismatch=self.readiness.mismatch_of,
            list_ready=self._list_ready,
        )
        self.slowness: Slowness | None = None  # none: nobody is told when answers take long
        if settings.slow_factor:
            self.slowness = Slowness(settings.slow_factor, self.infer, self._list_ready_variants, self._read_work)
        for variant in catalogue.variants:
            self.add(variant)

    def add(self, variant: ServedVariant) -> None:
        """Take a version in; callers find it once it is in the catalogue."""
        model = ServedModel(variant, self._backend, self.metrics, self.settings)
        model.metrics.ready.set_function(partial(self.is_model_ready, variant))
        model.metrics.golden_mismatch.set_function(partial(self._has_mismatch, variant))
        if self.slowness is not None:
            model.metrics.slow.set_function(partial(self.slowness.is_version_slow, str(variant)))
        self._models[variant.model, variant.version] = model
        self.readiness.add(variant)

    def versions(self) -> list[tuple[str, str]]:
        """List model and version of all that was taken in, whether callers find it or not."""
        return list(self._models)

    async def drain(self, variant: ServedVariant, timeout_s: float) -> None:
        """Wait until a version that callers do not find any more has answered all, at most for so long."""
        model = self._models[variant.model, variant.version]
        end_s = monotonic() + timeout_s
        quiet_s = monotonic()
        while monotonic() < end_s and monotonic() - quiet_s < QUIET_S:
            await asyncio.sleep(QUIET_S / 5)
            if model.is_busy:
                quiet_s = monotonic()
        if self.peers is not None:
            await self.peers.drain(variant, timeout_s)

    def remove(self, variant: ServedVariant) -> None:
        """Forget a version and its metrics."""
        del self._models[variant.model, variant.version]
        self.readiness.remove(variant)
        self.metrics.forget(variant.model, variant.version)

    def new_request_id(self) -> str:
        """Make an id for a request that came without one; unique in this process and, by its prefix, among others."""
        return f"{self._id_prefix}-{next(self._ids):x}"

    def infer(self, request: InferRequest) -> Coroutine[None, None, InferAnswer]:
        """Answer a request; see answering.py.

        Raises:
            GatewayError: the request gets no answer; see errors.py.
        """
        return self.answering.infer(request)

    def stream(self, request: InferRequest) -> AsyncGenerator[InferAnswer]:
        """Answer a request of one row bit by bit, if its model can; any other by its one answer.

        Raises:
            GatewayError: as `infer`; what was told before it holds.
        """
        return self.answering.stream(request)

    def _drift_monitors(self) -> Iterator[tuple[str, str, DriftMonitor]]:
        for model in self._models.values():
            if model.drift is not None:
                yield model.variant.model, model.variant.version, model.drift

    def _read_load(self) -> Load:
        models = self._models.values()
        statistics = [model.metrics.statistics for model in models]
        return Load(
            busy_s=sum(one.busy_s for one in statistics),
            num_successes=sum(one.num_successes for one in statistics),
            num_failures=sum(one.num_failures for one in statistics),
            num_slots=sum(self._backend.num_slots(model.variant) for model in models),
            waiting_rows=sum(model.batcher.waiting_rows for model in models),
        )

    async def close(self) -> None:
        """Send the spans and write the records that are left."""
        await self.answering.close()
        await self.journal.close()

    def _has_mismatch(self, variant: ServedVariant) -> bool:
        return bool(self.readiness.mismatch_of(variant))

    def _measure_idle_s(self, variant: ServedVariant) -> float:
        model = self._models[variant.model, variant.version]
        return 0.0 if model.is_busy else monotonic() - model.answered_s

    def _list_ready_variants(self) -> list[ServedVariant]:
        return list(filter(self.is_model_ready, self.catalogue.required))

    def _list_ready(self) -> list[ServedModel]:
        return [self._models[variant.model, variant.version] for variant in self._list_ready_variants()]

    def _read_work(self, variant: ServedVariant) -> Work:
        model = self._models[variant.model, variant.version]
        statistics = model.metrics.statistics
        return Work(model.batcher.num_calls, statistics.num_calls, statistics.busy_s)

    def _find_model(self, request: InferRequest) -> ServedModel:
        # The server's own questions come before callers may find a version.
        chosen = request.version if request.protocol == PROTOCOL else request.chosen
        if chosen and (model := self._models.get((request.model, chosen))) is not None:
            return model
        variant = self.route(request)
        return self._models[variant.model, variant.version]

    def route(self, request: InferRequest) -> ServedVariant:
        """Choose the variant that answers a request.

        Raises:
            UnknownModelError: names what there is.
        """
        if self.router is not None and not request.version:
            canary = self.router.choose(request, self.is_model_ready)
            if canary is not None:
                return canary
        return self.find_variant(request.model, request.version)

    def find_variant(self, name: str, version: str = "") -> ServedVariant:
        """Find the variant that a model name and version mean.

        Raises:
            UnknownModelError: names what there is.
        """
        variant = self.catalogue.find(name, version)
        if variant is not None:
            return variant
        if name not in self.catalogue:
            known = ", ".join(self.catalogue.models)
            # The first words are Triton's, whose clients look for them.
            raise UnknownModelError(f"Request for unknown model: there is no model {name!r}; this server has {known}")
        versions = ", ".join(self.catalogue.versions(name))
        why = self.catalogue.left_out.get((name, version))
        raise UnknownModelError(
            f"model {name} has no version {version!r}{f' here ({why})' if why else ''}; this server has {versions}; '' "
            "means the first"
        )

    def describe_config(self, name: str, version: str = "") -> dict[str, Any]:
        """Describe a version's configuration as Triton's ModelConfig has it.

        Raises:
            UnknownModelError: names what there is.
        """
        variant = self.find_variant(name, version)
        return describe_config(variant.manifest, self._backend.num_slots(variant))

    async def describe_statistics(self, name: str = "", version: str = "") -> dict[str, Any]:
        """Describe what was answered as Triton's ModelStatisticsResponse has it: of all models, one, or one version.

        Raises:
            UnknownModelError: names what there is.
        """
        own = self.list_statistics(name, version)
        return {"model_stats": own if self.peers is None else await self.peers.list_statistics(name, version)}

    def list_statistics(self, name: str = "", version: str = "") -> list[dict[str, Any]]:
        """List what this process has answered, by model version.

        Raises:
            UnknownModelError: names what there is.
        """
        found = self.find_variant(name, version) if name else None
        return [
            # Named as it was asked for: perf_analyzer takes a version for a number, `-x 3`.
            model.metrics.statistics.describe(model.variant.model, version or model.variant.version)
            for model in self._models.values()
            if found in (None, model.variant) or (not version and name == model.variant.model)
        ]

    async def list_errors(self) -> list[RecentError]:
        """List the last refusals, newest first."""
        return list(self.journal.recent_errors) if self.peers is None else await self.peers.list_errors()

    async def report_gates(self) -> list[GateProgress]:
        """Say what is known of candidates that get copies of answered requests."""
        if self.peers is not None:
            return await self.peers.report_gates()
        return self.report_own_gates()

    def report_own_gates(self) -> list[GateProgress]:
        """Say what this process knows of candidates."""
        shadows = self.answering.shadows
        return [] if shadows is None else list(shadows.report())

    def has_room(self) -> bool:
        """Say whether each version that answers callers has an idle worker, and nothing waits."""
        return all(self._models[variant.model, variant.version].has_room for variant in self.catalogue.required)

    def is_ready(self) -> bool:
        """Say whether every model can answer and the server takes requests."""
        return not self.is_draining and all(self.is_model_ready(variant) for variant in self.catalogue.required)

    def wants_calls(self) -> bool:
        """Say whether an edge should send calls here rather than elsewhere: ready, and not far too slow."""
        return self.is_ready() and (self.slowness is None or not self.slowness.is_slow)

    def is_model_ready(self, variant: ServedVariant) -> bool:
        """Say whether a variant can answer now; see readiness.py."""
        return not self.is_draining and self.readiness.is_ready(variant)

    def list_states(self) -> list[tuple[str, str, str, str]]:
        """Model, version, state and reason of each version that is here or was refused, as a repository index."""
        found = [(variant.model, variant.version, *self.state_of(variant)) for variant in self.catalogue.variants]
        return found + [(*name, "UNAVAILABLE", why) for name, why in self.refused.items()]

    def state_of(self, variant: ServedVariant) -> tuple[str, str]:
        """State and reason as a repository index has them."""
        if self.is_draining:
            return "UNAVAILABLE", "the server is shutting down"
        mismatch = self.readiness.mismatch_of(variant)
        if mismatch:
            return "UNAVAILABLE", mismatch
        if not self.is_model_ready(variant):
            return "UNAVAILABLE", "its workers are starting or being restarted"
        return "READY", ""


def _count_tasks(loop: asyncio.AbstractEventLoop) -> float:
    return len(asyncio.all_tasks(loop))
