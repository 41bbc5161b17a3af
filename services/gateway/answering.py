"""How a request is answered, whole or bit by bit: found, checked, looked up, computed, kept, journalled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from time import monotonic

from services.catalogue import ServedVariant
from services.gateway.access import Guard
from services.gateway.admission import CallerLimit
from services.gateway.answers import join_bits, make_answer
from services.gateway.batching import Outputs
from services.gateway.cache import AnswerCache, Lookup
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
from services.gateway.metrics import Metrics
from services.gateway.provenance import describe_provenance, settle_seed
from services.gateway.readiness import PROTOCOL
from services.gateway.recorder import Recorder
from services.gateway.served_model import ServedModel
from services.gateway.settings import GatewaySettings
from services.gateway.shadow import Shadows
from services.gateway.streams import say_whole
from services.gateway.tensors import InferAnswer, InferRequest
from services.gateway.valve import Valve


class Answering:
    """Answers requests by the versions that `find_model` finds; `find_mismatch` says why one must not answer."""

    def __init__(
        self,
        settings: GatewaySettings,
        metrics: Metrics,
        journal: Journal,
        guard: Guard | None,
        *,
        find_model: Callable[[InferRequest], ServedModel],
        find_mismatch: Callable[[ServedVariant], str],
        list_ready: Callable[[], list[ServedModel]],
    ) -> None:
        self.shadows: Shadows | None = None  # none: nobody gets copies
        self._timeout_s = settings.request_timeout_s
        self._journal = journal
        self._guard = guard
        self._find_model = find_model
        self._find_mismatch = find_mismatch
        self._cache = AnswerCache(settings.cache_mib * 2**20, metrics) if settings.cache_mib else None
        self._recorder = Recorder(settings.open_records(), settings.record, metrics) if settings.record else None
        self._caller_limit = CallerLimit(settings.max_calls_per_caller)
        self._valve = Valve(list_ready, is_open_for_all=settings.any_variant)

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
            self._journal.end(model, request, num_rows, self._journal.refuse(model, request, error), arrived_s)
            raise
        except asyncio.CancelledError:
            self._journal.end(model, request, num_rows, CANCELLED, arrived_s)
            raise
        self._journal.end(model, request, num_rows, OK, arrived_s)
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
            request.deadline_s = min(request.deadline_s, arrived_s + self._timeout_s)
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
            status = self._journal.refuse(model, request, error)
            raise
        finally:
            self._journal.end(model, request, 1, status, arrived_s)

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
            if self._guard is not None:
                self._guard.check_model(request.caller, Verb.INFER, request.model)
            model = model or self._find_model(request)
        except (UnknownModelError, PermissionDeniedError) as error:
            self._journal.refuse_early(request, error)
            raise
        self._journal.begin(request)
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

    def _refuse_mismatch(self, variant: ServedVariant, request: InferRequest) -> None:
        """Refuse to answer by a version whose answers are not those that passed the gate."""
        if request.protocol != PROTOCOL and self._find_mismatch(variant):
            raise NotReadyError(
                f"{variant} computes something else on this machine than was released; ask for another version, or "
                "have it released for this machine"
            )

    async def _submit(self, model: ServedModel, request: InferRequest, num_rows: int, arrived_s: float) -> Outputs:
        """Answer a request that was admitted, unless its caller has too many."""
        request.deadline_s = min(request.deadline_s, arrived_s + self._timeout_s)
        with self._caller_limit.hold(request):
            return await model.submit(request, num_rows, arrived_s)

    async def close(self) -> None:
        """Write the records that are left."""
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)
