"""The front door without its transports: which model answers, whether it can, and what it says."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from model_store.live_gate import GateProgress
from services.catalogue import Catalogue, ServedVariant
from services.gateway.admission import CallerLimit
from services.gateway.answers import join_bits, make_answer
from services.gateway.backends import Backend
from services.gateway.batching import Outputs
from services.gateway.cache import AnswerCache, Lookup
from services.gateway.drift import DriftMetrics, DriftMonitor
from services.gateway.edges import TrustedEdges
from services.gateway.errors import (
    CANCELLED,
    OK,
    GatewayError,
    NotReadyError,
    PermissionDeniedError,
    UnknownModelError,
)
from services.gateway.journal import Journal
from services.gateway.keys import Verb
from services.gateway.load_reports import Load, LoadReports
from services.gateway.metrics import Metrics
from services.gateway.model_config import describe_config
from services.gateway.model_control import ModelControl, NoModelControl
from services.gateway.peers import Peers
from services.gateway.provenance import describe_provenance, settle_seed
from services.gateway.readiness import PROTOCOL, Readiness
from services.gateway.recent_errors import RecentError
from services.gateway.recorder import Recorder
from services.gateway.routing import Router
from services.gateway.served_model import ServedModel
from services.gateway.settings import GatewaySettings
from services.gateway.shadow import Shadows
from services.gateway.slowness import Slowness, Work
from services.gateway.streams import say_whole
from services.gateway.tensors import InferAnswer, InferRequest
from services.gateway.valve import Valve

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
        self._cache = AnswerCache(settings.cache_mib * 2**20, self.metrics) if settings.cache_mib else None
        self._recorder = Recorder(settings.open_records(), settings.record, self.metrics) if settings.record else None
        self._caller_limit = CallerLimit(settings.max_calls_per_caller)
        self._valve = Valve(self._list_ready, is_open_for_all=settings.any_variant)
        self._ids = itertools.count(1)
        self._id_prefix = os.urandom(3).hex()
        self.router: Router | None = None  # none: there are no canaries
        self.control: ModelControl = NoModelControl()
        self.shadows: Shadows | None = None  # none: nobody gets copies
        self.peers: Peers | None = None  # none: this process is the whole server
        self.refused: Mapping[tuple[str, str], str] = {}  # model and version of releases that may not serve, and why
        self._models: dict[tuple[str, str], ServedModel] = {}
        self.load_reports = LoadReports(self._read_load) if settings.load_reports else None
        self.drift = DriftMetrics(self._drift_monitors)
        self.metrics.registry.register(self.drift)
        self.readiness = Readiness(backend, self.infer, self._measure_idle_s)
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

    async def infer(self, request: InferRequest) -> InferAnswer:
        """Answer a request.

        Raises:
            GatewayError: the request gets no answer; see errors.py.
        """
        arrived_s = monotonic()
        model = self._begin(request)
        num_rows = 0
        try:
            num_rows = self._check(model, request, arrived_s)
            lookup, recorder = self._prepare(model, request)
            if lookup is not None and lookup.outputs is not None:
                outputs = lookup.outputs
            else:
                asked = model
                model = self._valve.admit(model, request, lambda served: served.check(request, num_rows), arrived_s)
                outputs = await self._submit(model, request, num_rows, arrived_s)
                if lookup is not None and model is asked:
                    lookup.keep(outputs)
            answer = make_answer(request, model.variant, outputs)
            if request.wants_provenance:
                answer.parameters = describe_provenance(request, model.variant)
            if recorder is not None:
                recorder.keep(request, model.variant, answer)
        except GatewayError as error:
            self.journal.end(model, request, num_rows, self.journal.refuse(model, request, error), arrived_s)
            raise
        except asyncio.CancelledError:
            self.journal.end(model, request, num_rows, CANCELLED, arrived_s)
            raise
        self.journal.end(model, request, num_rows, OK, arrived_s)
        if self.shadows is not None and request.protocol != PROTOCOL:
            self.shadows.offer(request, model.variant, answer)
        return answer

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferAnswer]:
        """Answer a request of one row bit by bit, if its model can; any other by its one answer.

        Raises:
            GatewayError: as `infer`; what was told before it holds.
        """
        arrived_s = monotonic()
        model = self._find_streaming(request)
        if model is None:
            yield await self.infer(request)
            return
        self._begin(request, model)
        status = CANCELLED
        told: list[Outputs] = []
        try:
            self._check(model, request, arrived_s)
            lookup, recorder = self._prepare(model, request)
            if lookup is not None and lookup.outputs is not None:
                bits, lookup = say_whole(lookup.outputs), None
            else:
                asked = model
                model = self._valve.admit(model, request, lambda served: served.check_stream(request), arrived_s)
                lookup = lookup if model is asked else None
                bits = model.stream(request, arrived_s)
            request.deadline_s = min(request.deadline_s, arrived_s + self.settings.request_timeout_s)
            is_kept = lookup is not None or recorder is not None or self.shadows is not None
            with self._caller_limit.hold(request):
                async with aclosing(bits):
                    async for bit in bits:
                        answer = InferAnswer(model.variant.model, model.variant.version, request.id, bit.outputs)
                        answer.is_last = bit.is_last
                        if is_kept:
                            told.append(bit.outputs)
                        if bit.is_last:
                            status = OK
                            if request.wants_provenance:
                                answer.parameters = describe_provenance(request, model.variant)
                            if is_kept:
                                self._keep(request, model.variant, answer, told, lookup, recorder)
                        yield answer
        except GatewayError as error:
            status = self.journal.refuse(model, request, error)
            raise
        finally:
            self.journal.end(model, request, 1, status, arrived_s)

    def _keep(
        self,
        request: InferRequest,
        variant: ServedVariant,
        last: InferAnswer,
        told: list[Outputs],
        lookup: Lookup | None,
        recorder: Recorder | None,
    ) -> None:
        """Give the whole of an answer that was told bit by bit to whoever wants it."""
        whole = replace(last, outputs=join_bits(told))
        if lookup is not None:
            lookup.keep(whole.outputs)
        if recorder is not None:
            recorder.keep(request, variant, whole)
        if self.shadows is not None:
            self.shadows.offer(request, variant, whole)

    def _find_streaming(self, request: InferRequest) -> ServedModel | None:
        """Find the version that answers a request bit by bit; None where none does, or nobody knows the model."""
        try:
            model = self._find_model(request)
        except UnknownModelError:  # refused, and counted, where a whole answer would be
            return None
        is_one_row = all(tensor.shape[:1] == (1,) for tensor in request.inputs)
        return model if model.streams is not None and is_one_row else None

    def _begin(self, request: InferRequest, model: ServedModel | None = None) -> ServedModel:
        try:
            if self.guard is not None:
                self.guard.check_model(request.caller, Verb.INFER, request.model)
            model = model or self._find_model(request)
        except (UnknownModelError, PermissionDeniedError) as error:
            self.journal.refuse_early(request, error)
            raise
        self.journal.begin(request)
        return model

    def _check(self, model: ServedModel, request: InferRequest, arrived_s: float) -> int:
        """Check whether a request may be answered; returns its rows."""
        self._refuse_mismatch(model.variant, request)
        num_rows = model.validator.check(request)
        if model.drift is not None and arrived_s >= model.drift.due_s and request.protocol != PROTOCOL:
            model.drift.take_later(request, num_rows)
        return num_rows

    def _prepare(self, model: ServedModel, request: InferRequest) -> tuple[Lookup | None, Recorder | None]:
        """Look for an answer that is known, choose who keeps this one, and settle what it will have been made of."""
        lookup = None
        if self._cache is not None:
            lookup = self._cache.look_up(request, model.variant, model.metrics.statistics)
            if request.trace is not None:
                request.trace.is_cached = lookup is not None and lookup.outputs is not None
        recorder = None if self._recorder is None else self._recorder.choose(request)
        if recorder is not None or request.wants_provenance:
            settle_seed(request, model.variant)
        return lookup, recorder

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
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)
        await self.journal.close()

    def _refuse_mismatch(self, variant: ServedVariant, request: InferRequest) -> None:
        """Refuse to answer by a version whose answers are not those that passed the gate."""
        if request.protocol != PROTOCOL and self.readiness.mismatch_of(variant):
            raise NotReadyError(
                f"{variant} computes something else on this machine than was released; ask for another version, or "
                "have it released for this machine"
            )

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

    async def _submit(self, model: ServedModel, request: InferRequest, num_rows: int, arrived_s: float) -> Outputs:
        """Answer a request that was admitted, unless its caller has too many."""
        request.deadline_s = min(request.deadline_s, arrived_s + self.settings.request_timeout_s)
        with self._caller_limit.hold(request):
            return await model.submit(request, num_rows, arrived_s)

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
        return [] if self.shadows is None else list(self.shadows.report())

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
