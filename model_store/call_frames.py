"""How calls come to a worker's own sockets, one for each slot: frames, answered one after the other as they came.

Both sides are of one release of this package: the archive carries the worker's.
"""

from __future__ import annotations

import struct
from enum import IntEnum

HEAD = struct.Struct("<IBQ")  # bytes that follow, what they are, and a call's number


class Frame(IntEnum):
    """What follows a head."""

    CALL = 1  # to the worker: a serialized ModelInferRequest; its number, 0 where rows are never told to have left
    SESSION = 2  # to the worker: records of session_records.py by which streams join
    HELLO = 3  # from the worker: it has taken the connection; before this it has begun nothing
    PIECE = 4  # of a session's answer, of which others follow
    ANSWER = 5  # all of a call's answer, or the last piece of a session's


def socket_name(worker: int, slot: int = 0) -> str:
    """Name the socket of a slot of the worker of a process id, in the folder of its sockets."""
    return f"calls-{worker}{_in_name(slot)}"


def state_name(worker: int, slot: int = 0) -> str:
    """Name the file whose one byte is 1 while a slot is at a call, whoever asked, and 0 while it is idle."""
    return f"state-{worker}{_in_name(slot)}"


def _in_name(slot: int) -> str:
    return f"-{slot}" if slot else ""
