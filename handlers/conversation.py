"""A session: one call whose answer comes in pieces, one after each step that has one.

Records of model_store/session_records.py go both ways. Who joins during the call comes through the worker's socket.
A session without rows waits a while for the next ones, unless the worker is wanted: to begin a call takes
longer than a step.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterable

from handlers.base import Outputs, RowError
from handlers.control import Control
from handlers.message import decode_request, encode_times
from handlers.session import Session
from model_store.open_inference import WORKER_TIMES
from model_store.session_records import LINGERS, Kind, Record, RecordReader, encode_record

LINGER_S = 2.0


class Conversation:
    """Hold one session, until none of its rows is left."""

    def __init__(
        self,
        session: Session,
        control: Control,
        encode_outputs: Callable[[Outputs], bytes],
        send: Callable[[bytes], None],
        linger_s: float = LINGER_S,
    ) -> None:
        """`send` sends a piece of the answer; the last one is returned by `hold`."""
        self._session, self._control = session, control
        self._encode_outputs, self._send = encode_outputs, send
        self._linger_s = linger_s
        self._is_closed = False
        self._keys: set[int] = set()
        self._began_ns: dict[int, int] = {}  # of those whose callers want to know
        self._said: list[bytes] = []

    def hold(self, body: bytes) -> bytes:
        """Answer the streams that join in the call's body and later."""
        self._send(encode_record(Record(os.getpid(), Kind.OPENED, LINGERS)))
        self._hear(RecordReader().feed(body))
        self._hear(self._control.receive())
        while not self._session.is_empty or self._linger():
            try:
                if self._session.read():
                    # Who came meanwhile shares the first step with them, and does not wait for it.
                    self._hear(self._control.receive())
                self._advance()
            except Exception:  # noqa: BLE001 (TorchServe would turn it into UNAVAILABLE without its cause)
                cause = traceback.format_exc().encode()
                self._said += [encode_record(Record(key, Kind.FAILED, cause)) for key in self._keys]
                break
            self._hear(self._control.receive())
            if self._said and not self._session.is_empty:
                self._send(self._take_said())
        return self._take_said()

    def _linger(self) -> bool:
        """Wait for rows, where there are none; returns whether the session goes on."""
        if self._is_closed:
            return False
        if self._said:
            self._send(self._take_said())
        if not self._control.wait(self._linger_s):
            return False
        self._hear(self._control.receive())
        return True

    def _hear(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.kind == Kind.LEAVE:
                self._forget(record.key)
                self._session.leave([record.key])
            elif record.kind == Kind.JOIN:
                self._join(record)
            elif record.kind == Kind.CLOSE:
                self._is_closed = True

    def _join(self, record: Record) -> None:
        try:
            request = decode_request(record.payload)
            wants_times = request.parameters.pop(WORKER_TIMES, False)
            self._session.join(record.key, request)
            self._keys.add(record.key)
            if wants_times:
                self._began_ns[record.key] = time.monotonic_ns()
        except RowError as error:
            self._said.append(encode_record(Record(record.key, Kind.REFUSED, str(error).encode())))
        except Exception:  # noqa: BLE001 (it fails alone)
            cause = traceback.format_exc().encode()
            self._said.append(encode_record(Record(record.key, Kind.FAILED, cause)))

    def _advance(self) -> None:
        for part in self._session.advance():
            kind = Kind.LAST if part.is_last else Kind.PART
            told = self._encode_outputs(part.outputs)
            if part.is_last:
                if part.key in self._began_ns:
                    told += encode_times(self._began_ns[part.key], time.monotonic_ns())
                self._forget(part.key)
            self._said.append(encode_record(Record(part.key, kind, told, part.num_tokens)))

    def _forget(self, key: int) -> None:
        self._keys.discard(key)
        self._began_ns.pop(key, None)

    def _take_said(self) -> bytes:
        said, self._said = b"".join(self._said), []
        return said
