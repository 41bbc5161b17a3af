"""What the gateway and a worker tell each other while answers come bit by bit.

Records go to the worker in a session's call and, during it, to the worker's own socket; they come back in the pieces of
the call's answer. Both sides are of one release of this package: the archive carries the worker's.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

_HEAD = struct.Struct("<QBHI")  # key, kind, tokens, bytes of the payload
_ROWS = struct.Struct("<II")
LINGERS = b"lingers"


class Kind(IntEnum):
    """What a record says of the stream that its key names."""

    JOIN = 1  # to the worker: begin; a serialized ModelInferRequest of one row
    LEAVE = 2  # to the worker: nobody waits for it any longer
    LEAVE_ROWS = 3  # to the worker: nor for rows of the packed call of this number; the first row and how many
    OPENED = 4  # the session has begun in the process of this id; LINGERS: and goes on without rows until it is closed
    PART = 5  # the next bit of the answer, a serialized ModelInferResponse
    LAST = 6  # the last one
    REFUSED = 7  # it cannot be answered: a text for the caller
    FAILED = 8  # the handler broke: a text for the log
    CLOSE = 9  # to a worker that lingers: end when no row is left, nobody joins any more


class Record(NamedTuple):
    key: int
    kind: Kind
    payload: bytes = b""
    num_tokens: int = 0


def encode_record(record: Record) -> bytes:
    """Put a record into bytes that may be joined with others'."""
    return _HEAD.pack(record.key, record.kind, record.num_tokens, len(record.payload)) + record.payload


def leave_rows(call: int, first: int, count: int) -> Record:
    """Make the record that rows of a packed call are waited for no longer."""
    return Record(call, Kind.LEAVE_ROWS, _ROWS.pack(first, count))


def rows_left(record: Record) -> range:
    """Which rows a record of `leave_rows` names."""
    first, count = _ROWS.unpack(record.payload)
    return range(first, first + count)


class RecordReader:
    """Take records out of bytes that come in any pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Record]:
        """Take the next piece; returns the records that are complete with it.

        Raises:
            ValueError: a record is of no known kind.
        """
        data = self._rest + data
        records, offset = [], 0
        while len(data) - offset >= _HEAD.size:
            key, kind, num_tokens, size = _HEAD.unpack_from(data, offset)
            end = offset + _HEAD.size + size
            if end > len(data):
                break
            records.append(Record(key, Kind(kind), data[offset + _HEAD.size : end], num_tokens))
            offset = end
        self._rest = data[offset:]
        return records
