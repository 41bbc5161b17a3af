"""Work-conserving batching for one model version.

While a worker is idle, what has arrived is sent at once; while all are busy, rows accumulate; when one frees,
everything that waits and fits together goes, up to the most rows of a batch. There is no timer. Only a full batch,
which gains nothing by waiting, goes to a busy worker, which then starts on it without a pause for transport. Whose
turn it is, shares.py says. Where the manifest says that a row's time depends on its size, rows of similar size fit
together; see waiting.py.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable, Sequence
from time import monotonic

import structlog

from model_store.shared_memory import LARGE_BYTES
from services.catalogue import ServedVariant
from services.gateway.backends import Backend
from services.gateway.deadlines import Deadlines
from services.gateway.departed_rows import DepartedRows
from services.gateway.errors import (
    MODEL_DIES,
    MODEL_FAILED,
    DeadlineError,
    GatewayError,
    InternalError,
    WorkerDiedError,
)
from services.gateway.metrics import ModelMetrics
from services.gateway.packing import Rows, ask_for_times, gather_rows, pack_requests, read_times, unpack_answer
from services.gateway.quarantine import Quarantine
from services.gateway.tensors import InferRequest, NamedTensor, name_requests
from services.gateway.trace import CallTimes
from services.gateway.waiting import Job, Queue, SizedQueue, WaitingRoom, measure_rows

logger = structlog.get_logger("gateway")

Outputs = list[NamedTensor]


class Batcher:
    """The queue of one model version and the calls to its workers."""

    def __init__(
        self,
        variant: ServedVariant,
        backend: Backend,
        metrics: ModelMetrics,
        *,
        num_slots: int,
        max_batch_bytes: int,
        max_rows: int | None = None,
        max_calls: int | None = None,
        observe: Callable[[int, float, list[tuple[float, float]]], None] = lambda num_rows, started_s, waits: None,
    ) -> None:
        """`max_rows` is the manifest's unless given; `max_calls` may be under way at once, else two a slot.

        `observe` is told of every answered batch: its rows, when it was due, what was promised and what it took; what
        has expired since the batch before took for ever.
        """
        self._observe = observe
        self._variant = variant
        self._backend = backend
        self._metrics = metrics
        self._max_rows = max_rows or variant.manifest.max_rows
        self._max_calls = max_calls or 2 * num_slots
        self._max_batch_bytes = max_batch_bytes
        self._sized = frozenset(tensor.name for tensor in variant.manifest.inputs if tensor.size_sets_time)
        self._loop = asyncio.get_running_loop()
        self._waiting = WaitingRoom(SizedQueue if self._sized else Queue)
        self._num_slots = num_slots
        self._num_calls = 0
        self._dispatch_is_due = False
        self._deadlines = Deadlines(self._expire)
        self._expired: list[tuple[float, float]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._quarantine = Quarantine()
        self._suspecting = asyncio.Lock()
        self._shares_memory = variant.manifest.shared_memory
        self._departed = DepartedRows(variant, backend) if variant.manifest.can_stop else None
        metrics.slots.set(num_slots)
        metrics.waiting_rows.set_function(lambda: self._waiting.rows)
        metrics.busy_slots.set_function(lambda: self._num_calls)

    @property
    def waiting_rows(self) -> int:
        """Rows that wait for a worker."""
        return self._waiting.rows

    @property
    def num_calls(self) -> int:
        """Batches under way, those that wait at a busy worker among them."""
        return self._num_calls

    def count_rows_before(self, request: InferRequest, num_rows: int) -> int:
        """Count the rows that would go before a request's."""
        shares = self._waiting.shares
        return shares.count_rows_before(shares.find_flow(request), num_rows)

    def is_below_share(self, request: InferRequest, num_rows: int, max_rows: int) -> bool:
        """Say whether a request's caller would then have no more than an equal part of the rows that may wait."""
        shares = self._waiting.shares
        return shares.is_below_share(shares.find_flow(request), num_rows, max_rows)

    async def submit(self, request: InferRequest, num_rows: int, arrived_s: float) -> Outputs:
        """Queue a request of at most one batch's rows and return its outputs.

        Leaving (cancellation) takes it out of the queue, so that it never enters a batch, and out of a batch under way
        where the handler can stop.

        Raises:
            DeadlineError, NotReadyError, InternalError: see errors.py.
        """
        if self._quarantine.holds(request):
            raise InternalError(MODEL_DIES, cause="it ended a worker twice before")
        num_bytes = sum([len(tensor.data) for tensor in request.inputs])
        size = measure_rows(request.inputs, self._sized) if self._sized else 0
        result: asyncio.Future[Outputs] = self._loop.create_future()
        flow = self._waiting.shares.find_flow(request)
        job = Job(request, num_rows, num_bytes, size, arrived_s, result, _batch_key(request), flow)
        queue = self._waiting.enter(job)
        if request.trace is not None:
            request.trace.is_queued = True
        if not self._dispatch_is_due and self._may_call(queue):
            # At the end of this turn of the event loop, so that requests read in the same turn go together.
            self._dispatch_is_due = True
            self._loop.call_soon(self._dispatch)
        self._deadlines.watch(job)
        try:
            return await result
        except BaseException:
            self._waiting.leave(job)
            if self._departed is not None:
                self._departed.tell(job)
            raise
        finally:
            self._deadlines.forget(job)

    def _expire(self, job: Job) -> None:
        if not job.result.done() and job.request.promised_s:
            self._expired.append((job.request.promised_s, math.inf))
        _fail(job, DeadlineError("no answer before the deadline; allow more time, or send less at once"))

    def _may_call(self, queue: Queue) -> bool:
        return self._num_calls < self._num_slots or (
            queue.may_send_ahead and queue.rows >= self._max_rows and self._num_calls < self._max_calls
        )

    def _dispatch(self) -> None:
        self._dispatch_is_due = False
        while (queue := self._waiting.find_next()) is not None and self._may_call(queue):
            batch = self._take_batch()
            if batch:
                self._num_calls += 1
                call = self._loop.create_task(self._call(batch))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    def _take_batch(self) -> list[Job]:
        batch = self._waiting.take(self._max_rows, self._max_batch_bytes)
        now_s = monotonic()
        for job in batch:
            job.request.queue_s = now_s - job.arrived_s
            self._metrics.queue_time.observe(job.request.queue_s)
        return batch

    async def _call(self, batch: list[Job]) -> None:
        outputs: list[Outputs] = []
        try:
            found = await self._ask(batch, min([job.arrived_s for job in batch]))
            if isinstance(found, GatewayError):
                await self._answer_singly(batch, found)
            else:
                outputs = found
        except Exception as error:
            logger.exception("batching broke", variant=str(self._variant))
            for job in batch:
                _fail(job, InternalError(MODEL_FAILED, cause=repr(error)))
        finally:
            self._num_calls -= 1
            try:
                self._dispatch()
            finally:
                # After the next batch: the worker would be idle while these answers are written.
                for job, tensors in zip(batch if outputs else (), outputs, strict=True):
                    _succeed(job, tensors)

    async def _ask(self, batch: list[Job], due_s: float) -> list[Outputs] | GatewayError:
        """Make one packed call; return the outputs of each of its jobs, or why it failed.

        It might have begun at `due_s`, had a worker been free: from then on, what keeps it is time that batches take.
        """
        row_counts = [job.num_rows for job in batch]
        num_rows = sum(row_counts)
        self._metrics.batch_rows.observe(num_rows)
        is_usual = bool(self._backend.ready_workers(self._variant))  # else it waits for a worker first
        started_s = sent_s = monotonic()
        asking = [job.request for job in batch if job.request.wants_times]
        try:
            packed = self._pack(batch, wants_times=bool(asking))
            sent_s = monotonic()
            if self._departed is None:
                answer = await self._backend.predict(self._variant, packed)
            else:
                answer = await self._backend.predict(self._variant, packed, self._departed.begin(batch))
            answered_s = monotonic()
            if asking:
                _note_call(asking, CallTimes(sent_s, answered_s, read_times(answer), num_rows, len(batch)))
            outputs = unpack_answer(answer, row_counts)
        except GatewayError as error:
            if asking:
                _note_call(asking, CallTimes(sent_s, monotonic(), None, num_rows, len(batch)))
            names = name_requests(job.request for job in batch)
            logger.error("a packed call failed", variant=str(self._variant), **names, error=error.cause)
            return error
        finally:
            ended_s = monotonic()
            self._metrics.backend_time.observe(ended_s - started_s)
            for job in batch:
                job.request.compute_s = ended_s - started_s
            if self._departed is not None:
                self._departed.end(batch)
        waits, self._expired = self._expired, []
        waits += [
            (job.request.promised_s, ended_s - job.arrived_s)
            for job in batch
            if job.request.promised_s and not job.result.done()
        ]
        if is_usual:
            self._observe(num_rows, due_s, waits)
        self._metrics.statistics.count_call(
            num_rows,
            len(batch),
            sum([job.request.queue_s for job in batch]),
            sent_s - started_s,
            answered_s - sent_s,
            ended_s - answered_s,
        )
        return outputs

    def _pack(self, batch: Sequence[Job], *, wants_times: bool) -> bytes | Rows:
        requests = [job.request for job in batch]
        if self._shares_memory and sum([job.num_bytes for job in batch]) >= LARGE_BYTES:
            rows = gather_rows(requests)
            return rows.ask_for_times() if wants_times else rows
        packed = pack_requests(requests)
        return ask_for_times(packed) if wants_times else packed

    async def _answer_singly(self, batch: list[Job], failure: GatewayError) -> None:
        """Repeat a failed call once, each job by itself, so that the one that breaks a worker fails alone.

        Not repeated: a single request that was answered with an error (it would be again), and what took too long.
        """
        if isinstance(failure, WorkerDiedError):
            # What a worker had in other slots died with it and is repeated too: one at a time tells which did it.
            async with self._suspecting:
                await self._repeat(batch, failure)
        else:
            await self._repeat(batch, failure)

    async def _repeat(self, batch: list[Job], failure: GatewayError) -> None:
        is_final = isinstance(failure, DeadlineError) or (len(batch) == 1 and isinstance(failure, InternalError))
        for job in batch:
            if job.result.done():
                continue
            again = failure if is_final else await self._ask([job], monotonic())
            if not isinstance(again, GatewayError):
                _succeed(job, again[0])
                continue
            # Alone the second time: it, and no neighbour, ends workers.
            if isinstance(failure, WorkerDiedError) and isinstance(again, WorkerDiedError):
                self._quarantine.add(job.request)
                again = InternalError(MODEL_DIES, cause=again.cause)
            _fail(job, again)


def _batch_key(request: InferRequest) -> Hashable:
    inputs = request.inputs
    if len(inputs) == 1 and not request.parameters and not request.outputs:
        return (inputs[0].name, inputs[0].shape[1:])
    shapes = tuple([(tensor.name, tensor.shape[1:]) for tensor in inputs])
    # True == 1 == 1.0 in Python, but not for a model: hence the types.
    parameters = tuple(sorted((name, type(value), value) for name, value in request.parameters.items()))
    return (shapes, parameters, request.outputs)


def _note_call(requests: Sequence[InferRequest], times: CallTimes) -> None:
    for request in requests:
        if request.trace is not None:
            request.trace.calls.append(times)
        if request.worker is not None and times.worker is not None:
            request.worker = times.worker.process


def _succeed(job: Job, outputs: Outputs) -> None:
    if not job.result.done():
        job.result.set_result(outputs)


def _fail(job: Job, error: GatewayError) -> None:
    if not job.result.done():
        job.result.set_exception(error)
