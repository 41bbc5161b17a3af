import os
import socket
import time

import numpy as np
import pytest

from handlers.base import Outputs, RowError
from handlers.control import Control
from handlers.conversation import Conversation
from handlers.session import Part
from model_store.open_inference import (
    WORKER_ENDED_NS,
    WORKER_PROCESS,
    WORKER_STARTED_NS,
    WORKER_TIMES,
    messages,
)
from model_store.session_records import Kind, Record, RecordReader, encode_record, leave_rows


class Countdown:
    """A session whose rows end after as many steps as they say; 0 is refused, and 13 breaks the handler.

    `meanwhile` happens while the first rows are read.
    """

    def __init__(self, meanwhile=lambda: None):
        self.left = {}
        self.unread = 0
        self.meanwhile = meanwhile

    @property
    def is_empty(self):
        return not self.left

    def join(self, key, request):
        (steps,) = request.inputs["steps"]
        if steps == 0:
            raise RowError("no steps")
        self.left[key] = int(steps)
        self.unread += 1

    def leave(self, keys):
        for key in keys:
            self.left.pop(key, None)

    def read(self):
        num_read, self.unread = self.unread, 0
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return num_read > 0

    def advance(self):
        self.read()
        if 13 in self.left.values():
            raise RuntimeError("unlucky")
        self.left = {key: steps - 1 for key, steps in self.left.items()}
        parts = [Part(key, Outputs({}), steps == 0, 1) for key, steps in self.left.items()]
        self.left = {key: steps for key, steps in self.left.items() if steps}
        return parts


def join(key, steps, *, wants_times=False):
    request = messages().ModelInferRequest()
    if wants_times:
        request.parameters[WORKER_TIMES].bool_param = True
    request.inputs.add(name="steps", datatype="INT32", shape=[1])
    request.raw_input_contents.append(np.array([steps], np.int32).tobytes())
    return encode_record(Record(key, Kind.JOIN, request.SerializeToString()))


class Worker:
    """A worker's end of a conversation; `meanwhile` maps the number of a piece to what is sent to its socket then."""

    def __init__(self, folder, meanwhile=None):
        self.control = Control(str(folder))
        self.pieces = []
        self.meanwhile = meanwhile or {}
        self.sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = str(folder / f"control-{os.getpid()}")

    def tell(self, message):
        self.sender.sendto(message, self.address)

    def hold(self, body, while_read=b"", linger_s=0.0):
        def send(piece):
            self.pieces.append(piece)
            if len(self.pieces) in self.meanwhile:
                self.tell(self.meanwhile[len(self.pieces)])

        session = Countdown(lambda: self.tell(while_read))
        last = Conversation(session, self.control, lambda outputs: b"", send, linger_s).hold(body)
        return [(record.key, record.kind) for record in RecordReader().feed(b"".join([*self.pieces, last]))]


@pytest.fixture
def worker(tmp_path):
    worker = Worker(tmp_path)
    yield worker
    worker.sender.close()
    worker.control.close()


def test_rows_are_answered_step_by_step(worker):
    said = worker.hold(join(1, 2) + join(2, 1))
    assert said == [(os.getpid(), Kind.OPENED), (1, Kind.PART), (2, Kind.LAST), (1, Kind.LAST)]
    assert len(worker.pieces) == 3


def test_a_row_tells_how_long_it_took_and_in_which_process_where_that_is_asked(worker):
    began_ns = time.monotonic_ns()
    worker.hold(join(1, 2, wants_times=True) + join(2, 2))
    records = RecordReader().feed(b"".join(worker.pieces))
    payloads = {record.key: record.payload for record in records if record.kind == Kind.LAST}
    told = messages().ModelInferResponse.FromString(payloads[1]).parameters
    times_ns = [told[WORKER_STARTED_NS].int64_param, told[WORKER_ENDED_NS].int64_param]
    moments_ns = [began_ns, *times_ns, time.monotonic_ns()]
    assert moments_ns == sorted(moments_ns)
    assert told[WORKER_PROCESS].int64_param == os.getpid()
    assert payloads[2] == b""


def test_rows_join_while_others_are_answered(worker):
    worker.meanwhile = {2: join(2, 1)}
    assert worker.hold(join(1, 3))[1:] == [(1, Kind.PART), (1, Kind.PART), (1, Kind.LAST), (2, Kind.LAST)]


def test_rows_that_join_while_others_are_read_share_their_first_step(worker):
    said = worker.hold(join(1, 2), while_read=join(2, 2))
    assert said[1:] == [(1, Kind.PART), (2, Kind.PART), (1, Kind.LAST), (2, Kind.LAST)]
    assert len(worker.pieces) == 3


def test_a_session_without_rows_waits_for_the_next_ones(worker):
    worker.meanwhile = {2: join(2, 2), 4: join(3, 1)}
    said = worker.hold(join(1, 1), linger_s=0.1)
    assert said[1:] == [(1, Kind.LAST), (2, Kind.PART), (2, Kind.LAST), (3, Kind.LAST)]


def test_a_session_that_is_closed_ends_with_its_rows(worker):
    worker.meanwhile = {2: encode_record(Record(0, Kind.CLOSE))}
    started_s = time.monotonic()
    assert worker.hold(join(1, 3), linger_s=30)[1:] == [(1, Kind.PART), (1, Kind.PART), (1, Kind.LAST)]
    assert time.monotonic() - started_s < 10


def test_who_joins_during_another_call_is_heard_by_the_session_after_it(worker):
    worker.tell(join(2, 1))
    assert set(worker.control.take_departed(8)) == set()
    assert sorted(worker.hold(join(1, 1))[1:]) == [(1, Kind.LAST), (2, Kind.LAST)]


def test_rows_that_leave_are_answered_no_further(worker):
    worker.meanwhile = {2: encode_record(Record(1, Kind.LEAVE))}
    assert worker.hold(join(1, 9) + join(2, 3))[1:].count((1, Kind.PART)) == 2


def test_a_row_that_is_refused_says_so_alone(worker):
    said = worker.hold(join(1, 0) + join(2, 1) + encode_record(Record(3, Kind.JOIN, b"no request")))
    assert sorted(said[1:]) == [(1, Kind.REFUSED), (2, Kind.LAST), (3, Kind.FAILED)]


def test_a_handler_that_breaks_fails_all_rows_that_are_left(worker):
    assert sorted(worker.hold(join(1, 1) + join(2, 14) + join(3, 20))[1:]) == [
        (1, Kind.LAST),
        (2, Kind.PART),
        (2, Kind.FAILED),
        (3, Kind.PART),
        (3, Kind.FAILED),
    ]


def test_what_was_told_of_another_call_is_not_told_of_this_one(worker):
    worker.tell(encode_record(leave_rows(7, 0, 2)))
    worker.tell(encode_record(leave_rows(8, 3, 1)))
    assert set(worker.control.take_departed(8)) == {3}
    assert set(worker.control.take_departed(7)) == {0, 1}
    assert set(worker.control.take_departed(7)) == set()


def test_without_a_folder_nothing_is_heard():
    control = Control(None)
    assert control.receive() == []
    assert set(control.take_departed(1)) == set()
