"""Shadow copies: a candidate is asked what others have answered, while nobody waits, and its answers are compared.

Not one live answer may be later for it: a sampled request is put aside when its answer is done, waits until every
version that answers callers has an idle worker and nothing waits, goes to the candidate alone, and the candidate's
workers run only where no other process wants the processor (host/priority.py). What finds no room is left out.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from host.priority import yield_processor
from model_store.live_gate import GateProgress
from model_store.open_inference import ROW_ERRORS
from services.catalogue import ServedVariant
from services.gateway.backends import Backend
from services.gateway.errors import DeadlineError, GatewayError, NotReadyError, OverloadedError
from services.gateway.live_gate import LiveGate
from services.gateway.readiness import PROTOCOL
from services.gateway.tensors import InferAnswer, InferRequest

logger = structlog.get_logger("shadow")

MOST_WAITING = 256
MOST_WAITING_BYTES = 32 * 2**20
LOOK_FOR_ROOM_S = 0.005


@dataclass(frozen=True)
class Copying:
    """Who gets copies of what share of whose answered requests; `yields`: the candidate answers no caller."""

    candidate: ServedVariant
    incumbent: ServedVariant
    share: float
    margin: float
    promote: bool
    yields: bool


class _Pair(NamedTuple):
    request: InferRequest
    answer: InferAnswer
    num_bytes: int


class Shadows:
    """All candidates that get copies, and what is known of them."""

    def __init__(
        self,
        infer: Callable[[InferRequest], Awaitable[InferAnswer]],
        has_room: Callable[[], bool],
        backend: Backend,
        decide: Callable[[Copying, GateProgress], Awaitable[None]],
    ) -> None:
        """`has_room` says whether a candidate would keep nobody waiting; `decide` is told of each outcome once."""
        self._infer = infer
        self._has_room = has_room
        self._backend = backend
        self._decide = decide
        self._by_model: dict[str, Copying] = {}
        self._gates: dict[str, LiveGate] = {}
        self._pairs: deque[_Pair] = deque()
        self._num_bytes = 0
        self._offered = asyncio.Event()
        self._yielding: dict[str, frozenset[int]] = {}

    def change(self, copyings: Sequence[Copying]) -> None:
        """Copy so from now on; a candidate's test goes on unless it, its opponent or the margin is another."""
        gates = {}
        for copying in copyings:
            model, before = copying.candidate.model, self._by_model.get(copying.candidate.model)
            same = before is not None and _rule_of(before) == _rule_of(copying)
            gates[model] = (
                self._gates[model] if same else LiveGate(copying.candidate, copying.incumbent, copying.margin)
            )
        if list(self._by_model.values()) != list(copyings):  # what waits was chosen by another rule
            self._pairs.clear()
            self._num_bytes = 0
        self._by_model = {copying.candidate.model: copying for copying in copyings}
        self._gates = gates

    def offer(self, request: InferRequest, variant: ServedVariant, answer: InferAnswer) -> None:
        """Perhaps put an answered request aside; costs a look-up and a random number where it is not."""
        copying = self._by_model.get(request.model)
        if copying is None or random.random() >= copying.share or variant.version != copying.incumbent.version:
            return
        gate = self._gates[request.model]
        if gate.outcome != "undecided" or any(tensor.name == ROW_ERRORS for tensor in answer.outputs):
            return
        num_bytes = sum(len(tensor.data) for tensors in (request.inputs, answer.outputs) for tensor in tensors)
        if len(self._pairs) >= MOST_WAITING or self._num_bytes + num_bytes > MOST_WAITING_BYTES:
            gate.num_skipped += 1
            return
        self._pairs.append(_Pair(request, answer, num_bytes))
        self._num_bytes += num_bytes
        self._offered.set()

    def report(self) -> Iterator[GateProgress]:
        """Say what is known of each candidate."""
        for gate in self._gates.values():
            yield gate.report()

    async def run(self) -> None:
        """Ask the candidates until cancelled."""
        while True:
            while not self._pairs:
                self._offered.clear()
                await self._offered.wait()
            while self._pairs and not self._has_room():
                await asyncio.sleep(LOOK_FOR_ROOM_S)
            if not self._pairs:  # another rule has come meanwhile
                continue
            pair = self._pairs.popleft()
            self._num_bytes -= pair.num_bytes
            try:
                await self._ask(pair)
            except Exception:
                logger.exception("an answer could not be compared", model=pair.request.model)

    async def _ask(self, pair: _Pair) -> None:
        copying, gate = self._by_model.get(pair.request.model), self._gates.get(pair.request.model)
        if copying is None or gate is None or gate.outcome != "undecided":
            return
        if pair.answer.version != copying.incumbent.version:
            return
        self._make_yield(copying)
        sent = pair.request
        copy = InferRequest(
            sent.model,
            copying.candidate.version,
            sent.id,
            sent.inputs,
            sent.outputs,
            sent.parameters,
            protocol=PROTOCOL,
            may_cache=False,
        )
        answer: InferAnswer | None
        try:
            answer = await self._infer(copy)
        except (NotReadyError, OverloadedError, DeadlineError):  # says nothing of what it would have answered
            gate.num_skipped += 1
            return
        except GatewayError:
            answer = None
        gate.compare(pair.answer, answer)
        if gate.outcome != "undecided":
            progress = gate.report()
            logger.info(
                "the live gate has decided", model=progress.model, version=progress.version, why=progress.in_words
            )
            await self._decide(copying, progress)

    def _make_yield(self, copying: Copying) -> None:
        """Have a candidate's workers, new ones too, leave the processor to everybody else."""
        workers = self._backend.ready_workers(copying.candidate)
        if copying.yields and workers != self._yielding.get(str(copying.candidate)):
            for pid in workers:
                yield_processor(pid)
            self._yielding[str(copying.candidate)] = workers


def _rule_of(copying: Copying) -> tuple[str, str, float]:
    return copying.candidate.version, copying.incumbent.version, copying.margin
