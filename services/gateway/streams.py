"""Answers bit by bit: the streams of one model version, and the sessions in which they share a worker's steps.

A session is one call to a worker. Streams join it while it runs, and for a moment after its last one, unless other
requests wait for its worker: then it ends with the streams that it has, the others have their turn, and new streams
begin the next session.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from time import monotonic
from typing import NamedTuple

import structlog

from model_store.session_records import LINGERS, Kind, Record, RecordReader, encode_record
from services.catalogue import ServedVariant
from services.gateway.admission import NONE_HELD, Held
from services.gateway.backends import Backend
from services.gateway.errors import (
    MODEL_FAILED,
    DeadlineError,
    GatewayError,
    InternalError,
    InvalidRequestError,
    NotReadyError,
)
from services.gateway.metrics import Metrics
from services.gateway.numbers import count_up
from services.gateway.packing import ask_for_times, pack_requests, read_times, unpack_answer
from services.gateway.stream_admission import StreamAdmission
from services.gateway.stream_queue import StreamQueue
from services.gateway.tensors import InferRequest, NamedTensor, name_requests
from services.gateway.trace import CallTimes

logger = structlog.get_logger("gateway")

_MAX_TRIES = 2
_MESSAGE_BYTES = 2**16


class Bit(NamedTuple):
    """The next of an answer's outputs."""

    outputs: list[NamedTensor]
    is_last: bool


async def say_whole(outputs: list[NamedTensor]) -> AsyncGenerator[Bit]:
    """Tell an answer that is known already, in one bit."""
    yield Bit(outputs, is_last=True)


class _Stream:
    """One caller's request, from its arrival to the end of its answer."""

    def __init__(self, key: int, request: InferRequest, arrived_s: float) -> None:
        self.key = key
        self.request = request
        packed = pack_requests([request])
        self.packed = ask_for_times(packed) if request.wants_times else packed
        self.first_s: float | None = None
        self.session: _Session | None = None
        self.arrived_s = self.entered_s = arrived_s
        self.num_tries = 0
        self._records: deque[Record] = deque()
        self._error: GatewayError | None = None
        self._news = asyncio.Event()

    def take(self, record: Record) -> None:
        if self.first_s is None:
            self.first_s = monotonic()
        self._records.append(record)
        self._news.set()

    def fail(self, error: GatewayError) -> None:
        if self._error is None:
            self._error = error
            self._news.set()

    async def next_record(self) -> Record:
        """Await the next bit of the answer.

        Raises:
            GatewayError: there will be none.
        """
        while not self._records:
            if self._error is not None:
                raise self._error
            self._news.clear()
            await self._news.wait()
        return self._records.popleft()


class _Session:
    """A call to a worker and the streams in it.

    What comes before the call has reached a worker is `untold`, though told already to the one that it is expected at.
    """

    def __init__(self, worker: int | None, *, is_closing: bool) -> None:
        self.streams: dict[int, _Stream] = {}
        self.worker = worker
        self.untold: list[bytes] = []
        self.is_open = self.lingers = False
        self.is_closing = is_closing  # nobody joins any more


class Streams:
    """The streams of one model version."""

    def __init__(
        self,
        variant: ServedVariant,
        backend: Backend,
        metrics: Metrics,
        *,
        num_workers: int,
        max_wait_s: float,
        max_waiting: int,
        count_calls: Callable[[], int],
        is_alone: bool = True,
        note_free: Callable[[], None] = lambda: None,
    ) -> None:
        """`count_calls` says how many other calls the workers have, which only who `is_alone` with them can know.

        `note_free` is told whenever a session has left its worker.
        """
        self._variant, self._backend = variant, backend
        self._num_workers, self._count_calls, self._is_alone = num_workers, count_calls, is_alone
        self._note_free = note_free
        self._max_rows = variant.manifest.max_rows
        self._admission = StreamAdmission(
            str(variant),
            num_places=num_workers * self._max_rows,
            max_wait_s=max_wait_s,
            max_waiting=max_waiting,
        )
        labels = (variant.model, variant.version)
        self._first_token = metrics.first_token.labels(*labels)
        self._tokens = metrics.stream_tokens.labels(*labels)
        metrics.streams.labels(*labels).set_function(self.count)
        self._loop = asyncio.get_running_loop()
        self._keys = count_up()
        self._waiting: StreamQueue[_Stream] = StreamQueue()
        self._sessions: dict[_Session, asyncio.Task[None]] = {}
        self._dispatch_is_due = False

    def count(self) -> int:
        """How many streams wait or are being answered."""
        return len(self._waiting) + sum(len(session.streams) for session in self._sessions)

    def count_held(self) -> Held:
        """Count the workers that have streams, and predict when the first of them is done with those it has.

        A session that only lingers for the next stream holds none.
        """
        ends_s = [
            self._admission.predict_end_s(max(stream.entered_s for stream in session.streams.values()))
            for session in self._sessions
            if session.streams
        ]
        return Held(len(ends_s), min(ends_s) - monotonic()) if ends_s else NONE_HELD

    def admit(self, request: InferRequest) -> None:
        """Let a valid request of one row pass whose answer can begin in time.

        Raises:
            OverloadedError: says when it would begin.
        """
        self._admission.check(request, self._waiting, self._count_free(), are_joined=not self._are_workers_wanted())

    async def answer(self, request: InferRequest, arrived_s: float) -> AsyncGenerator[Bit]:
        """Answer an admitted request; leaving (cancellation) ends its work within one step.

        Raises:
            DeadlineError, InvalidRequestError, NotReadyError, InternalError: see errors.py.
        """
        stream = _Stream(next(self._keys), request, arrived_s)
        self._waiting.enter(stream, request)
        if request.trace is not None:
            request.trace.is_queued = True
        self._dispatch_soon()
        late = DeadlineError("no whole answer before the deadline; allow more time, or ask for less")
        timer = self._loop.call_later(request.deadline_s - monotonic(), stream.fail, late)
        is_first = True
        try:
            while True:
                record = await stream.next_record()
                if is_first:
                    waited_s = monotonic() - arrived_s
                    self._first_token.observe(waited_s)
                    self._admission.observe_begin(request, waited_s)
                    is_first = False
                self._tokens.inc(record.num_tokens)
                (outputs,) = unpack_answer(record.payload, [1])
                yield Bit(outputs, record.kind == Kind.LAST)
                if record.kind == Kind.LAST:
                    return
        except DeadlineError:
            if is_first:
                self._admission.observe_begin(request, math.inf)
            raise
        finally:
            timer.cancel()
            self._leave(stream)

    def _are_workers_wanted(self) -> bool:
        """Whether other calls wait for the workers, so that sessions take no more streams."""
        return not self._is_alone or self._count_calls() + len(self._sessions) > self._num_workers

    def _count_free(self) -> int:
        """Count the places that streams would have at once."""
        num_free = self._max_rows * (self._num_workers - len(self._sessions))
        if not self._are_workers_wanted():
            joined = [session for session in self._sessions if not session.is_closing]
            num_free += sum(self._max_rows - len(session.streams) for session in joined)
        return num_free

    def _dispatch_soon(self) -> None:
        # At the end of this turn of the event loop, so that streams that came in the same turn begin together.
        if not self._dispatch_is_due:
            self._dispatch_is_due = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatch_is_due = False
        for session in () if self._are_workers_wanted() else self._sessions:
            if not session.is_closing:
                for message in _group(self._fill(session)):
                    self._tell(session, message)
        while self._waiting and len(self._sessions) < self._num_workers:
            session = _Session(self._expect_worker(), is_closing=not self._is_alone)
            self._sessions[session] = self._loop.create_task(self._hold(session, b"".join(self._fill(session))))

    def _fill(self, session: _Session) -> list[bytes]:
        """Give a session the next streams, as many as it takes; returns the records by which they join."""
        records = []
        while self._waiting and len(session.streams) < self._max_rows:
            stream = self._waiting.take()
            session.streams[stream.key] = stream
            stream.session = session
            stream.entered_s = monotonic()
            stream.request.queue_s = stream.entered_s - stream.arrived_s
            records.append(encode_record(Record(stream.key, Kind.JOIN, stream.packed)))
        return records

    def _expect_worker(self) -> int | None:
        """Which worker a call will reach at once, where there is no choice: it is told meanwhile who joins."""
        workers = self._backend.ready_workers(self._variant)
        is_sure = self._is_alone and len(workers) == self._num_workers == 1 and not self._count_calls()
        return next(iter(workers)) if is_sure else None

    def _tell(self, session: _Session, record: bytes) -> None:
        if not session.is_open:
            session.untold.append(record)
        if session.worker is not None:
            self._backend.tell(self._variant, record, session.worker)

    def make_way(self) -> None:
        """Have sessions end as soon as their streams have, where another call is about to want their worker."""
        if self._count_calls() + len(self._sessions) < self._num_workers:
            return
        for session in self._sessions:
            if not session.is_closing:
                session.is_closing = True
                self._close(session)

    def _close(self, session: _Session) -> None:
        if session.lingers:
            self._tell(session, encode_record(Record(0, Kind.CLOSE)))

    def _note_opened(self, session: _Session, record: Record) -> None:
        session.is_open, session.lingers = True, record.payload == LINGERS
        if session.worker != record.key:
            session.worker = record.key
            for untold in session.untold:
                self._tell(session, untold)
        session.untold = []
        if session.is_closing:
            self._close(session)

    def _leave(self, stream: _Stream) -> None:
        session = stream.session
        if session is None:
            self._waiting.leave(stream)
        elif stream.key in session.streams:
            _end(session, stream)
            self._tell(session, encode_record(Record(stream.key, Kind.LEAVE)))
            self._dispatch_soon()

    async def _hold(self, session: _Session, records: bytes) -> None:
        reader = RecordReader()

        def take(data: bytes) -> None:
            for record in reader.feed(data):
                self._take(session, record)

        failure: GatewayError | None = None
        try:
            await self._backend.converse(self._variant, records, take)
        except GatewayError as error:
            if session.streams:
                names = name_requests(stream.request for stream in session.streams.values())
                logger.error("a session failed", variant=str(self._variant), **names, error=error.cause)
            failure = error
        except Exception as error:
            logger.exception("a session broke", variant=str(self._variant))
            failure = InternalError(MODEL_FAILED, cause=repr(error))
        finally:
            del self._sessions[session]
            self._note_free()
            self._give_up(session, failure)
            self._dispatch_soon()

    def _take(self, session: _Session, record: Record) -> None:
        if record.kind == Kind.OPENED:
            self._note_opened(session, record)
            return
        stream = session.streams.get(record.key)
        if stream is None:  # its caller has left
            return
        if record.kind == Kind.PART:
            stream.take(record)
            return
        if record.kind == Kind.LAST:
            stream.take(record)
            _end(session, stream, record.payload)
            stream.request.compute_s = monotonic() - stream.entered_s
            self._admission.observe_end(stream.request.compute_s)
            self._dispatch_soon()
            return
        _end(session, stream)
        if record.kind == Kind.REFUSED:
            stream.fail(InvalidRequestError(record.payload.decode()))
        else:
            cause = record.payload.decode()
            names = name_requests([stream.request])
            logger.error("a stream failed", variant=str(self._variant), **names, error=cause)
            stream.fail(InternalError(MODEL_FAILED, cause=cause))
        self._dispatch_soon()

    def _give_up(self, session: _Session, failure: GatewayError | None) -> None:
        """End what a session has left unanswered: begin it anew where nothing of it has been told."""
        for stream in list(session.streams.values()):
            _end(session, stream)
            # The worker may have got to know of it after its session: it must not begin there in the next one.
            self._tell(session, encode_record(Record(stream.key, Kind.LEAVE)))
            stream.num_tries += failure is not None
            may_repeat = failure is None or isinstance(failure, NotReadyError)
            if may_repeat and stream.first_s is None and stream.num_tries < _MAX_TRIES:
                stream.key, stream.session = next(self._keys), None
                self._waiting.enter_again(stream)
            else:
                stream.fail(failure or InternalError(MODEL_FAILED, cause="the session ended inside its answer"))


def _end(session: _Session, stream: _Stream, last: bytes | None = None) -> None:
    """Take a stream out of its session, with the `last` bit of its answer if it has all of it."""
    trace = stream.request.trace
    if trace is not None and trace.is_sampled:
        count, worker = len(session.streams), None if last is None else read_times(last)
        trace.calls.append(CallTimes(stream.entered_s, monotonic(), worker, count, count, stream.first_s))
    del session.streams[stream.key]


def _group(records: Iterable[bytes]) -> Iterator[bytes]:
    """Join records into few messages: a worker's socket holds ten or so, each of some 200 KiB at most."""
    group = b""
    for record in records:
        if group and len(group) + len(record) > _MESSAGE_BYTES:
            yield group
            group = b""
        group += record
    if group:
        yield group
