"""Answers that are given again to equal requests of models that always answer the same; off unless asked for."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic
from typing import NamedTuple

from model_store.open_inference import ROW_ERRORS
from services.catalogue import ServedVariant
from services.gateway.caller import name_caller
from services.gateway.metrics import Metrics
from services.gateway.readiness import PROTOCOL
from services.gateway.request_digest import digest_request
from services.gateway.statistics import Statistics
from services.gateway.tensors import InferRequest, NamedTensor

Outputs = list[NamedTensor]

# Of Python's objects around an answer and around each of its tensors.
_ENTRY_BYTES, _TENSOR_BYTES = 400, 300


class Lookup(NamedTuple):
    """What is held for a request: its answer's outputs, or None and a place to keep them."""

    cache: AnswerCache
    key: bytes
    outputs: Outputs | None
    statistics: Statistics

    def keep(self, outputs: Outputs) -> None:
        """Keep the outputs that were computed."""
        started_s = monotonic()
        self.cache.keep(self.key, outputs)
        self.statistics.count_kept(monotonic() - started_s)


class AnswerCache:
    """The newest answers, at most so many bytes of them, by content, release and variant.

    Callers who show who they are never share answers: how soon one comes would tell what others have sent.
    """

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self._max_bytes = max_bytes
        self._answers: OrderedDict[bytes, tuple[Outputs, int]] = OrderedDict()
        self._num_bytes = 0
        self._lookups = metrics.cache_lookups
        metrics.cache_bytes.set_function(lambda: self._num_bytes)

    def look_up(self, request: InferRequest, variant: ServedVariant, statistics: Statistics) -> Lookup | None:
        """Look for the answer to a valid request; None where it may not be answered from here."""
        started_s = monotonic()
        if not (request.may_cache and variant.release_digest) or request.protocol == PROTOCOL:
            return None
        if "no-" in request.caller.header("cache-control"):  # no-cache, no-store
            return None
        manifest = variant.manifest
        outputs = request.outputs or manifest.default_outputs or tuple(tensor.name for tensor in manifest.outputs)
        if ROW_ERRORS in outputs or not variant.proven_outputs.issuperset(outputs):
            return None
        if manifest.leaves_to_chance(request.parameters):
            return None
        caller = request.caller
        known_caller = (
            name_caller(caller) if caller.credential is not None or caller.certificate or caller.named_by_edge else ""
        )
        key = digest_request(request, (known_caller, variant.release_digest, variant.version))
        found = self._answers.get(key)
        self._lookups.labels(variant.model, variant.version, "miss" if found is None else "hit").inc()
        if found is None:
            statistics.count_miss(monotonic() - started_s)
            return Lookup(self, key, None, statistics)
        self._answers.move_to_end(key)
        statistics.count_hit(monotonic() - started_s)
        return Lookup(self, key, list(found[0]), statistics)

    def keep(self, key: bytes, outputs: Outputs) -> None:
        """Keep an answer; rows that failed are asked for again. What has been wanted least recently makes room."""
        num_bytes = _ENTRY_BYTES + sum(_TENSOR_BYTES + len(tensor.data) for tensor in outputs)
        if num_bytes > self._max_bytes or any(tensor.name == ROW_ERRORS for tensor in outputs) or key in self._answers:
            return
        while self._num_bytes + num_bytes > self._max_bytes:
            _, (_, size) = self._answers.popitem(last=False)
            self._num_bytes -= size
        # Copies: the contents are views of a whole batch's answer.
        kept = [NamedTensor(one.name, one.datatype, one.shape, bytes(one.data)) for one in outputs]
        self._answers[key] = kept, num_bytes
        self._num_bytes += num_bytes
