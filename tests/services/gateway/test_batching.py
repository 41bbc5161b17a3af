import asyncio
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from model_store.interface import Tensor
from model_store.session_records import Kind, RecordReader, rows_left
from model_store.tensors import encode_raw
from services.catalogue import ServedVariant
from services.gateway.batching import Batcher
from services.gateway.caller import KnownCaller
from services.gateway.errors import DeadlineError, InternalError, NotReadyError, WorkerDiedError
from services.gateway.metrics import Metrics
from services.gateway.tensors import InferRequest, NamedTensor
from tests.services.gateway.conftest import make_manifest, make_variant

POISON = 66.0
FLOOD, QUIET = KnownCaller("10.0.0.1:1"), KnownCaller("10.0.0.2:1")


@pytest.fixture
async def batcher(variant, backend):
    metrics = Metrics().of("double", "3-eager")
    return Batcher(variant, backend, metrics, num_slots=1, max_batch_bytes=1000)


def make_request(*values, **changes):
    array = np.array([[value, value] for value in values], np.float32)
    return InferRequest(
        "double",
        "",
        "id",
        [NamedTensor("x", "FP32", array.shape, encode_raw(array))],
        **{"deadline_s": monotonic() + 5, **changes},
    )


def make_text_request(*sizes):
    texts = np.array([b"x" * size for size in sizes], np.object_)
    return InferRequest(
        "double", "", "id", [NamedTensor("text", "BYTES", texts.shape, encode_raw(texts))], deadline_s=monotonic() + 5
    )


@pytest.fixture
async def sized_batcher(backend, clock):
    """A batcher of a model whose texts take longer the longer they are; time stands still."""
    text = Tensor(name="text", datatype="BYTES", shape=(-1,), meaning="a text", size_sets_time=True)
    manifest = make_manifest(inputs=(text,), input_sets=(("text",),))
    variant = ServedVariant(manifest=manifest, archive=Path("none.mar"), examples=Path("none.npz"), is_default=True)
    metrics = Metrics().of("double", "3-eager")
    return Batcher(variant, backend, metrics, num_slots=1, max_batch_bytes=10_000)


@pytest.fixture
def submit_text(sized_batcher, clock):
    def submit(*sizes, waited_s=0.0):
        job = sized_batcher.submit(make_text_request(*sizes), len(sizes), clock.now_s - waited_s)
        return asyncio.ensure_future(job)

    return submit


def sizes_of(backend):
    return [[len(row) for row in batch] for batch in backend.batches]


def values_of(backend):
    return [[row[0] for row in batch] for batch in backend.batches]


def submit(batcher, *values, **changes):
    return asyncio.ensure_future(batcher.submit(make_request(*values, **changes), len(values), monotonic()))


async def answer(submitted):
    (tensor,) = await submitted
    return np.frombuffer(tensor.data, np.float32).reshape(tensor.shape)[:, 0].tolist()


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_sends_at_once_what_arrived_in_one_turn_and_gathers_the_rest_while_busy(batcher, backend):
    backend.gate.clear()
    first = [submit(batcher, value) for value in (1, 2)]
    await turns()
    later = [submit(batcher, value) for value in (3, 4, 5)]
    await turns()
    assert [len(batch) for batch in backend.batches] == [2]
    backend.gate.set()
    assert [await answer(item) for item in (*first, *later)] == [[2 * value] for value in (1, 2, 3, 4, 5)]
    assert [len(batch) for batch in backend.batches] == [2, 3]


async def test_the_next_batch_leaves_before_the_answers_of_the_last_are_written(batcher, backend):
    seen = []

    async def call(value):
        await batcher.submit(make_request(value), 1, monotonic())
        seen.append(len(backend.batches))

    backend.gate.clear()
    first = [asyncio.ensure_future(call(value)) for value in (1, 2)]
    await turns()
    later = asyncio.ensure_future(call(3))
    await turns()
    backend.gate.set()
    await asyncio.gather(*first, later)
    assert seen == [2, 2, 2]


async def test_only_a_full_batch_is_sent_to_a_busy_worker(batcher, backend):
    backend.gate.clear()
    submitted = [submit(batcher, 0)]
    await turns()
    submitted += [submit(batcher, 1, 2, 3)]
    await turns()
    assert [len(batch) for batch in backend.batches] == [1]
    submitted += [submit(batcher, 4), submit(batcher, 5, 6, 7, 8)]
    await turns()
    assert [len(batch) for batch in backend.batches] == [1, 4]
    backend.gate.set()
    assert [len(await answer(item)) for item in submitted] == [1, 3, 1, 4]


async def test_batches_only_what_fits_together(batcher, backend):
    backend.gate.clear()
    blocker = submit(batcher, 0)
    await turns()
    kinds = [{"k": 1}, {"k": True}, {"k": 1}, {}]
    submitted = [submit(batcher, value, parameters=kind) for value, kind in enumerate(kinds)]
    backend.gate.set()
    assert [await answer(item) for item in submitted] == [[0], [2], [4], [6]]
    assert [[row[0] for row in batch] for batch in backend.batches] == [[0], [0, 2], [1], [3]]
    await blocker


async def test_never_splits_a_request_over_two_batches(batcher, backend):
    backend.gate.clear()
    submitted = [submit(batcher, 0), *(submit(batcher, *values) for values in ((1, 2, 3), (4, 5)))]
    backend.gate.set()
    assert [await answer(item) for item in submitted] == [[0], [2, 4, 6], [8, 10]]
    assert [len(batch) for batch in backend.batches] == [4, 2]


async def test_a_request_that_was_cancelled_never_enters_a_batch(batcher, backend):
    backend.gate.clear()
    first = submit(batcher, 1)
    await turns()
    gone, kept = submit(batcher, 2), submit(batcher, 3)
    await turns()
    gone.cancel()
    backend.gate.set()
    assert await answer(first) == [2]
    assert await answer(kept) == [6]
    assert [[row[0] for row in batch] for batch in backend.batches] == [[1], [3]]


async def test_a_request_past_its_deadline_is_answered_while_it_waits(batcher, backend):
    backend.gate.clear()
    first = submit(batcher, 1)
    await turns()
    late = submit(batcher, 2, deadline_s=monotonic() + 0.01)
    with pytest.raises(DeadlineError, match="allow more time"):
        await late
    backend.gate.set()
    await first
    await turns()
    assert len(backend.batches) == 1


async def test_a_flood_waits_behind_itself_and_not_before_others(batcher, backend):
    backend.gate.clear()
    submitted = [submit(batcher, 0)]
    await turns()
    submitted += [submit(batcher, value, caller=FLOOD) for value in range(1, 7)]
    await turns()
    submitted += [submit(batcher, value, caller=QUIET) for value in (11, 12)]
    await turns()
    assert batcher.count_rows_before(make_request(1, caller=FLOOD), 1) == 4
    assert batcher.count_rows_before(make_request(1), 1) == 1
    backend.gate.set()
    await asyncio.gather(*submitted)
    # The second batch waited at the busy worker already when the quiet caller came.
    assert values_of(backend) == [[0], [1, 2, 3, 4], [11, 12, 5, 6]]


async def test_a_flood_of_requests_that_fit_nothing_else_keeps_nobody_waiting(batcher, backend):
    backend.gate.clear()
    submitted = [submit(batcher, 0)]
    await turns()
    submitted += [submit(batcher, value, caller=FLOOD, parameters={"k": value}) for value in range(1, 6)]
    await turns()
    submitted.append(submit(batcher, 11, caller=QUIET))
    await turns()
    backend.gate.set()
    await asyncio.gather(*submitted)
    assert values_of(backend) == [[0], [1], [11], [2], [3], [4], [5]]


async def test_urgent_requests_go_first_and_the_others_are_not_forgotten(batcher, backend):
    backend.gate.clear()
    submitted = [submit(batcher, 0)]
    await turns()
    submitted += [submit(batcher, value, priority=9, parameters={"k": 30}) for value in (31, 32)]
    submitted += [submit(batcher, value, parameters={"k": 20}) for value in (21, 22)]
    submitted += [submit(batcher, value, value, priority=1, parameters={"k": value}) for value in range(1, 7)]
    await turns()
    backend.gate.set()
    await asyncio.gather(*submitted)
    order = [batch[0] for batch in values_of(backend)]
    # A row of the default level counts as eight urgent ones, one of the last level as sixty-four.
    assert order == [0, 1, 2, 3, 21, 4, 5, 6, 31]


@pytest.mark.parametrize("error", [NotReadyError("gone"), InternalError("bad"), None])
async def test_the_request_that_breaks_a_batch_fails_alone(batcher, backend, error):
    def break_on_poison(rows):
        if POISON in rows and error is not None:
            raise error
        if POISON in rows:
            raise RuntimeError("a bug in the engine")

    backend.before_answer = break_on_poison
    submitted = [submit(batcher, value) for value in (1, POISON, 2)]
    results = await asyncio.gather(*map(answer, submitted), return_exceptions=True)
    if error is None:  # not an error that engines have: the batch fails, the next one does not
        assert {type(result) for result in results} == {InternalError}
    else:
        assert (results[0], results[2]) == ([2], [4])
        assert results[1] is error
    assert await answer(submit(batcher, 5)) == [10]


async def test_a_call_whose_worker_died_is_repeated_once(batcher, backend):
    failures = [NotReadyError("died")]

    def die_once(rows):
        if failures:
            raise failures.pop()

    backend.before_answer = die_once
    assert await answer(submit(batcher, 1)) == [2]
    assert len(backend.batches) == 2


async def test_what_took_too_long_is_not_repeated(batcher, backend):
    def run_out_of_time(rows):
        raise DeadlineError("120 s")

    backend.before_answer = run_out_of_time
    with pytest.raises(DeadlineError):
        await submit(batcher, 1)
    assert len(backend.batches) == 1


async def test_short_texts_neither_share_a_batch_with_long_ones_nor_wait_for_them(submit_text, backend):
    backend.gate.clear()
    submitted = [submit_text(size) for size in (400, 20, 400, 30)]
    await turns()
    assert sizes_of(backend) == [[20, 30]]
    backend.gate.set()
    await asyncio.gather(*submitted)
    assert sizes_of(backend) == [[20, 30], [400, 400]]


async def test_a_request_is_as_long_as_its_longest_text(submit_text, backend):
    submitted = [submit_text(*sizes) for sizes in ((5, 300), (6,), (200, 1))]
    await asyncio.gather(*submitted)
    assert sizes_of(backend) == [[6], [200, 1, 5, 300]]


async def test_long_texts_are_not_overtaken_for_ever(submit_text, backend):
    backend.gate.clear()
    submitted = [submit_text(10)]
    await turns()
    # As large as ten of the short ones together, and waiting a little more than ten times as long.
    submitted += [submit_text(244, waited_s=2.2), submit_text(10, waited_s=0.2)]
    await turns()
    backend.gate.set()
    await asyncio.gather(*submitted)
    assert sizes_of(backend) == [[10], [244], [10]]


async def test_texts_of_similar_length_fill_batches_in_the_order_they_came(submit_text, backend):
    submitted = [submit_text(size) for size in (50, 60, 70, 55, 65, 40)]
    await asyncio.gather(*submitted)
    assert sizes_of(backend) == [[40, 50, 60, 70], [55, 65]]


async def test_a_worker_that_is_busy_with_texts_is_sent_no_more(submit_text, backend):
    backend.gate.clear()
    submitted = [submit_text(400)]
    await turns()
    submitted += [submit_text(*[400] * 4), submit_text(10)]
    await turns()
    assert len(backend.batches) == 1
    backend.gate.set()
    await asyncio.gather(*submitted)
    assert sizes_of(backend) == [[400], [10], [400] * 4]


async def test_a_text_whose_caller_has_left_takes_no_place_in_the_queue(sized_batcher, submit_text, backend):
    backend.gate.clear()
    submitted = [submit_text(10)]
    await turns()
    gone = submit_text(300)
    submitted.append(submit_text(12))
    await turns()
    gone.cancel()
    backend.gate.set()
    await asyncio.gather(*submitted)
    await turns()
    assert sizes_of(backend) == [[10], [12]]
    assert sized_batcher.waiting_rows == 0


async def test_a_request_that_ends_a_worker_twice_is_an_internal_error_and_ends_no_more_of_them(batcher, backend):
    def die_of_poison(rows):
        if POISON in rows:
            raise WorkerDiedError("died")

    backend.before_answer = die_of_poison
    submitted = [submit(batcher, value) for value in (1, POISON, 2)]
    results = await asyncio.gather(*map(answer, submitted), return_exceptions=True)
    assert (results[0], results[2], type(results[1])) == ([2], [4], InternalError)
    num_calls = len(backend.batches)
    with pytest.raises(InternalError, match="not tried again for some minutes"):
        await submit(batcher, POISON)
    assert len(backend.batches) == num_calls
    assert await answer(submit(batcher, 3)) == [6]


async def test_what_died_in_a_workers_other_slot_is_not_blamed(variant, backend):
    """A worker that ends takes along what it was at in all its slots, and the repeats would meet in the next one."""
    batcher = Batcher(
        variant, backend, Metrics().of("double", "3-eager"), num_slots=2, max_rows=1, max_batch_bytes=1000
    )
    under_way, predict = [], backend.predict

    async def predict_in_one_process(variant, request):
        life = asyncio.get_running_loop().create_future()
        under_way.append(life)
        try:
            if np.frombuffer(request, np.float32, 1, len(request) - 4) == POISON:
                await turns()
                for other in under_way:
                    other.set_exception(WorkerDiedError("died"))
            await asyncio.wait([life], timeout=0.1)
            return await life if life.done() else await predict(variant, request)
        finally:
            under_way.remove(life)

    backend.predict = predict_in_one_process
    submitted = [submit(batcher, value) for value in (1, POISON)]
    results = await asyncio.gather(*map(answer, submitted), return_exceptions=True)
    assert (results[0], type(results[1])) == ([2], InternalError)


async def test_a_worker_that_died_once_is_not_blamed_on_the_request(batcher, backend):
    failures = [NotReadyError("starting"), WorkerDiedError("died")]

    def fail_twice(rows):
        if failures:
            raise failures.pop(0)

    backend.before_answer = fail_twice
    with pytest.raises(WorkerDiedError):
        await submit(batcher, 1)
    assert await answer(submit(batcher, 1)) == [2]


@pytest.mark.parametrize(("max_calls", "sent"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 2])])
async def test_batches_may_be_smaller_than_released_and_more_or_fewer_wait_at_a_worker(
    variant, backend, max_calls, sent
):
    metrics = Metrics().of("double", "3-eager")
    batcher = Batcher(variant, backend, metrics, num_slots=1, max_rows=2, max_calls=max_calls, max_batch_bytes=1000)
    backend.gate.clear()
    submitted = [submit(batcher, 0)]
    await turns()
    submitted += [submit(batcher, value) for value in (1, 2, 3, 4, 5)]
    await turns()
    assert [len(batch) for batch in backend.batches] == sent
    backend.gate.set()
    assert [await answer(item) for item in submitted] == [[2 * value] for value in range(6)]
    assert [len(batch) for batch in backend.batches] == [1, 2, 2, 1]


@pytest.mark.parametrize(("manifest", "is_told"), [({"stops": True}, True), ({"streams": True}, True), ({}, False)])
async def test_a_handler_that_can_stop_is_told_of_callers_who_leave_during_a_call(backend, tmp_path, manifest, is_told):
    calls, told = [], []

    class Engine:
        def ready_workers(self, variant):
            return frozenset({1})

        async def predict(self, variant, request, call=0):
            calls.append(call)
            return await backend.predict(variant, request)

        def tell(self, variant, message, worker=None):
            told.extend((record.key, record.kind, rows_left(record)) for record in RecordReader().feed(message))

    variant = make_variant(make_manifest(**manifest), tmp_path)
    batcher = Batcher(variant, Engine(), Metrics().of("double", "3-eager"), num_slots=1, max_batch_bytes=1000)
    backend.gate.clear()
    jobs = [asyncio.ensure_future(batcher.submit(make_request(*values), len(values), 0.0)) for values in ((1,), (2, 3))]
    while not backend.batches:
        await asyncio.sleep(0)
    jobs[1].cancel()
    await asyncio.sleep(0)
    backend.gate.set()
    assert np.frombuffer((await jobs[0])[0].data, np.float32).tolist() == [2, 2]
    assert len(calls) == 1
    assert bool(calls[0]) is is_told
    assert told == ([(calls[0], Kind.LEAVE_ROWS, range(1, 3))] if is_told else [])


async def test_batches_take_their_time_from_when_their_first_row_came(variant, backend):
    due_s = []
    metrics = Metrics().of("double", "3-eager")
    observe = lambda num_rows, since_s, waits: due_s.append(since_s)  # noqa: E731
    batcher = Batcher(variant, backend, metrics, num_slots=1, max_batch_bytes=1000, observe=observe)
    came_s = [monotonic() - before_s for before_s in (0.5, 0.4, 0.3)]
    await asyncio.gather(*[batcher.submit(make_request(1), 1, at_s) for at_s in came_s])
    assert due_s == [min(came_s)]


async def test_what_waited_for_a_worker_says_nothing_of_how_long_batches_take(variant, backend):
    observed = []
    batcher = Batcher(
        variant,
        backend,
        Metrics().of("double", "3-eager"),
        num_slots=1,
        max_batch_bytes=1000,
        observe=lambda num_rows, *others: observed.append(num_rows),
    )
    for is_ready, values in ((True, (1,)), (False, (1, 2)), (True, (1, 2, 3))):
        backend.is_ready = is_ready
        await submit(batcher, *values)
    assert observed == [1, 3]
