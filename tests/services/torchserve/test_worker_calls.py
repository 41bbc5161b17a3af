"""Workers that answer by their own sockets, as processes that may be killed, stopped, and be new."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from model_store.call_frames import state_name
from services.gateway.errors import DeadlineError, NotReadyError, WorkerDiedError
from services.torchserve.http_client import HttpClient
from services.torchserve.predictions import Predictions
from services.torchserve.worker_calls import WorkerCalls

# What a worker answers: who it is and what it was told; words that it knows end it, delay it, or say it bit by bit.
WORKER = """
import os, sys, time
from pathlib import Path
from handlers.alarm import Alarm
from handlers.call_socket import CallSocket
from model_store.call_frames import Frame

def answer(frame, number, body, send):
    word = bytes(body)
    if word == b"die":
        os._exit(1)
    if word.startswith(b"wait"):
        time.sleep(float(word[4:]))
    if frame == Frame.SESSION:
        for piece in word.split():
            send(piece)
        return b"."
    return f"{os.getpid()} {number} {len(word)}".encode()

alarm = Alarm(float(sys.argv[2]))
for slot in range(int(sys.argv[3])):
    CallSocket(Path(sys.argv[1]), answer, alarm, slot).serve()
print(flush=True)
time.sleep(1000)
"""


class Workers:
    """Workers of one folder, and calls to those that are told as ready."""

    def __init__(self, folder):
        self.folder = folder
        self.num_slots = 1
        self.ready = frozenset()
        self.num_looks, self.lost = 0, []
        self.started = []
        self.calls = None

    def start(self, limit_s=60.0):
        command = [sys.executable, "-c", WORKER, str(self.folder), str(limit_s), str(self.num_slots)]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert worker.stdout.readline() == b"\n"
        self.started.append(worker)
        self.ready |= {worker.pid}
        return worker

    def look_soon(self):
        self.num_looks += 1
        self.ready = frozenset(worker.pid for worker in self.started if worker.poll() is None)

    def connect(self, limit_s=60.0):
        self.calls = WorkerCalls(
            self.folder,
            lambda variant: self.ready,
            self.look_soon,
            limit_s,
            self.lost.append,
            lambda variant: self.num_slots,
        )
        return Predictions(self.calls, HttpClient(self.folder / "none"), limit_s)


@pytest.fixture
async def workers(tmp_path):
    workers = Workers(tmp_path)
    yield workers
    if workers.calls is not None:
        workers.calls.close()
        await asyncio.sleep(0.01)
    for worker in workers.started:
        worker.kill()
        worker.wait()
        worker.stdout.close()


@pytest.fixture
def direct(variant):
    """A variant whose workers have sockets."""
    return replace(variant, manifest=variant.manifest.model_copy(update={"own_socket": True}))


async def stop(worker):
    worker.send_signal(signal.SIGSTOP)
    while psutil.Process(worker.pid).status() != psutil.STATUS_STOPPED:
        await asyncio.sleep(0.001)


def who(answer):
    return int(answer.split()[0])


async def test_many_calls_at_once_are_answered_each_with_its_own(workers, direct):
    worker = workers.start()
    predictions = workers.connect()
    sizes = [0, 1, 10, 70_000, 3_000_000, 5]
    answers = await asyncio.gather(
        *(predictions.predict(direct, bytes(size), number) for number, size in enumerate(sizes))
    )
    assert [answer.decode() for answer in answers] == [f"{worker.pid} {n} {size}" for n, size in enumerate(sizes)]


async def test_the_idle_worker_is_asked(workers, direct):
    first, second = workers.start(), workers.start()
    predictions = workers.connect()
    long = asyncio.create_task(predictions.predict(direct, b"wait5"))
    await asyncio.sleep(0)
    others = {who(await predictions.predict(direct, b"x")) for _ in range(5)}
    assert not long.done()
    assert len(others) == 1
    assert others < {first.pid, second.pid}
    elsewhere = Workers(workers.folder)  # another gateway process, which cannot know whom this one has asked
    elsewhere.ready = workers.ready
    assert {who(await elsewhere.connect().predict(direct, b"x")) for _ in range(3)} == others
    elsewhere.calls.close()
    assert who(await long) not in others


async def test_of_idle_workers_the_one_idle_longest_is_asked(workers, direct):
    pids = [workers.start().pid for _ in range(3)]
    predictions = workers.connect()
    asked = [who(await predictions.predict(direct, b"x")) for _ in range(6)]
    assert sorted(asked[:3]) == sorted(pids)
    assert asked[3:] == asked[:3]


async def test_a_worker_that_dies_fails_the_call_that_it_was_at_and_others_go_elsewhere(workers, direct):
    dying = workers.start()
    predictions = workers.connect()
    await predictions.predict(direct, b"x")
    calls = [asyncio.create_task(predictions.predict(direct, word)) for word in (b"die", b"x", b"x")]
    await asyncio.sleep(0.01)
    fresh = workers.start()
    with pytest.raises(WorkerDiedError) as caught:
        await calls[0]
    assert "died" in caught.value.cause
    assert [who(await call) for call in calls[1:]] == [fresh.pid] * 2
    assert dying.wait() == 1
    assert set(workers.lost) == {dying.pid}


async def test_a_worker_that_ended_before_it_took_the_connection_is_no_fault_of_a_call(workers, direct):
    stopped = workers.start()
    await stop(stopped)
    predictions = workers.connect()
    call = asyncio.create_task(predictions.predict(direct, b"x"))
    await asyncio.sleep(0.05)
    fresh = workers.start()
    stopped.kill()
    assert who(await call) == fresh.pid


async def test_a_worker_that_ends_while_another_is_being_found_is_asked_nothing(workers, direct, monkeypatch):
    dying = workers.start()
    predictions = workers.connect()
    await predictions.predict(direct, b"x")
    fresh = workers.start()
    connect = workers.calls._connect

    async def connect_after_a_death(worker, num_slots):
        dying.kill()
        while not workers.lost:
            await asyncio.sleep(0.001)
        await connect(worker, num_slots)

    monkeypatch.setattr(workers.calls, "_connect", connect_after_a_death)
    assert who(await predictions.predict(direct, b"x")) == fresh.pid


async def test_calls_wait_for_a_worker_that_is_starting_but_not_for_ever(workers, direct):
    predictions = workers.connect()
    call = asyncio.create_task(predictions.predict(direct, b"x"))
    await asyncio.sleep(0.12)
    assert not call.done()
    assert workers.num_looks >= 2
    worker = workers.start()
    assert who(await call) == worker.pid
    with pytest.raises(NotReadyError, match="try again in some seconds"):
        await Predictions(WorkerCalls(workers.folder, lambda _: frozenset(), lambda: None, 0.1), None, 1).predict(
            direct, b"x"
        )


async def test_a_call_that_takes_too_long_ends_the_worker_and_is_not_repeated(workers, direct):
    worker = workers.start(limit_s=0.3)
    predictions = workers.connect(limit_s=0.3)
    with pytest.raises(DeadlineError, match="send fewer rows"):
        await predictions.predict(direct, b"wait60")
    assert worker.wait() == -signal.SIGALRM


async def test_a_worker_that_cannot_end_itself_is_ended(workers, direct, monkeypatch):
    monkeypatch.setattr("services.torchserve.worker_calls._LATER_S", 0.1)
    worker = workers.start()
    predictions = workers.connect(limit_s=0.3)
    await predictions.predict(direct, b"x")
    await stop(worker)
    with pytest.raises(DeadlineError, match="send fewer rows"):
        await predictions.predict(direct, b"x")
    assert worker.wait() == -signal.SIGKILL


async def test_sessions_come_in_pieces(workers, direct):
    workers.start()
    pieces = []
    predictions = workers.connect()
    await predictions.converse(direct, b"one two three", pieces.append)
    assert pieces == [b"one", b"two", b"three", b"."]
    assert (await predictions.predict(direct, b"xy", 7)).split()[1:] == [b"7", b"2"]


async def test_closed_calls_fail_at_once(workers, direct):
    workers.start()
    predictions = workers.connect()
    calls = [asyncio.create_task(predictions.predict(direct, b"wait60")) for _ in range(2)]
    await asyncio.sleep(0.1)
    workers.calls.close()
    started_s = time.monotonic()
    for error in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(error, NotReadyError)
    assert time.monotonic() - started_s < 30


async def test_a_gateway_that_goes_leaves_the_worker_to_others(workers, direct):
    worker = workers.start()
    going = workers.connect()
    await going.predict(direct, b"x")
    left = asyncio.create_task(going.predict(direct, b"wait0.2"))
    await asyncio.sleep(0.05)
    workers.calls.close()
    assert isinstance(await asyncio.gather(left, return_exceptions=True), list)
    assert who(await workers.connect().predict(direct, b"x")) == worker.pid


async def test_a_worker_is_at_as_many_calls_at_once_as_it_has_slots(workers, direct):
    workers.num_slots = 2
    worker = workers.start()
    predictions = workers.connect()
    long = asyncio.create_task(predictions.predict(direct, b"wait5"))
    await asyncio.sleep(0)
    assert {who(await predictions.predict(direct, b"x")) for _ in range(5)} == {worker.pid}
    assert not long.done()
    assert who(await long) == worker.pid


async def test_idle_workers_are_asked_before_the_second_slot_of_one(workers, direct):
    workers.num_slots = 2
    pids = sorted(workers.start().pid for _ in range(2))
    predictions = workers.connect()
    asked = await asyncio.gather(*(predictions.predict(direct, b"wait0.3") for _ in range(4)))
    assert sorted(who(answer) for answer in asked[:2]) == sorted(who(answer) for answer in asked[2:]) == pids


async def test_a_worker_that_dies_fails_what_it_was_at_in_all_its_slots(workers, direct):
    workers.num_slots = 2
    dying = workers.start()
    predictions = workers.connect()
    waiting = asyncio.create_task(predictions.predict(direct, b"wait60"))
    while not any((workers.folder / state_name(dying.pid, slot)).read_bytes() == b"\1" for slot in range(2)):
        await asyncio.sleep(0.001)  # what has not begun is asked of another worker
    for call in (asyncio.create_task(predictions.predict(direct, b"die")), waiting):
        with pytest.raises(WorkerDiedError):
            await call
    assert dying.wait() == 1
    fresh = workers.start()
    workers.look_soon()
    assert who(await predictions.predict(direct, b"x")) == fresh.pid


async def test_each_slot_has_the_whole_time_for_its_call(workers, direct):
    """A process has one timer: a call that ends must not stop the one of another, nor lend it its own."""
    workers.num_slots = 2
    worker = workers.start(limit_s=1.0)
    predictions = workers.connect(limit_s=1.0)
    hung = asyncio.create_task(predictions.predict(direct, b"wait60"))
    for _ in range(3):
        assert who(await predictions.predict(direct, b"wait0.2")) == worker.pid
    with pytest.raises(DeadlineError, match="send fewer rows"):
        await hung
    assert worker.wait() == -signal.SIGALRM
