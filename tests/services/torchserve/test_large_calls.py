"""Large calls go by a file that both sides map, and leave nothing behind."""

import asyncio
import errno

import numpy as np
import pytest

from handlers.base import Outputs
from handlers.worker import Worker
from model_store.shared_memory import LARGE_BYTES
from model_store.tensors import decode_raw, encode_raw
from services.gateway.errors import NotReadyError
from services.gateway.packing import gather_rows, unpack_answer
from services.gateway.tensors import InferRequest, NamedTensor
from services.torchserve import large_calls
from services.torchserve.large_calls import ask_by_file


class Doubling:
    manifest = {"model": "double", "release": 1, "variant": "eager"}  # noqa: RUF012

    def infer(self, inputs, parameters, requested):
        return Outputs({"y": 2 * inputs["x"]})


def make_request(array):
    return InferRequest("double", "", "", [NamedTensor("x", "FP32", array.shape, encode_raw(array))])


@pytest.fixture
def ask(tmp_path):
    """Ask a worker that shares a folder, as if over TorchServe; `ask.sizes` are those of the messages."""
    worker = Worker(Doubling(), shared_folder=str(tmp_path))

    async def ask(message):
        ask.sizes.append(len(message))
        return worker.answer_packed(message)

    ask.sizes = []
    return ask


@pytest.mark.parametrize("num_values", [1000, LARGE_BYTES, 2 * large_calls._LONG_COPY_BYTES])
async def test_rows_of_several_callers_come_back_to_each(tmp_path, ask, num_values):
    arrays = [np.full((num_rows, num_values // 4), num_rows, np.float32) for num_rows in (1, 2, 1)]
    rows = gather_rows([make_request(array) for array in arrays])
    answers = unpack_answer(await ask_by_file(tmp_path, rows, ask), [1, 2, 1])
    for (tensor,), array in zip(answers, arrays, strict=True):
        np.testing.assert_array_equal(decode_raw(tensor.data, "FP32", tensor.shape), 2 * array)
    assert ask.sizes[0] < 300
    assert list(tmp_path.iterdir()) == []


async def test_without_room_all_goes_in_the_message(tmp_path, ask, monkeypatch):
    def refuse(file, contents):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(large_calls, "append_contents", refuse)
    array = np.ones((2, LARGE_BYTES // 4), np.float32)
    ((tensor,),) = unpack_answer(await ask_by_file(tmp_path, gather_rows([make_request(array)]), ask), [2])
    np.testing.assert_array_equal(decode_raw(tensor.data, "FP32", tensor.shape), 2 * array)
    assert ask.sizes[0] > array.nbytes
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [NotReadyError("gone"), asyncio.CancelledError()])
async def test_a_call_that_fails_leaves_no_file(tmp_path, failure):
    async def fail(message):
        assert len(list(tmp_path.iterdir())) == 1
        raise failure

    rows = gather_rows([make_request(np.ones((2, 3), np.float32))])
    with pytest.raises(type(failure)):
        await ask_by_file(tmp_path, rows, fail)
    assert list(tmp_path.iterdir()) == []
