"""Programs and callers that would harm others, through the whole path: no wrong answer, no worker dead twice."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import torch

from model_store.open_inference import messages
from model_store.signing import Keyring
from model_store.store import Store
from model_store.tensors import datatype_of, encode_raw
from tests.e2e.conftest import Released, Served
from tests.training.release import strange_programs
from training.release.cli import release_model
from training.release.user_program import describe_user_program

METHOD = "/inference.GRPCInferenceService/ModelInfer"
LEAST = np.iinfo(np.int64).min


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("strange")


@pytest.fixture(scope="module")
def served(folder):
    released = Released(folder / "store", folder / "keys")
    store = Store(released.store, Keyring(released.keys))
    programs = {
        "mixing": (strange_programs.save_mixing(folder), {}),
        "words": (strange_programs.save_words(folder), {}),
        "dividing": (strange_programs.save_dividing(folder), {"b": (-9, -1)}),
    }
    for name, (program, ranges) in programs.items():
        release_model(describe_user_program(program, name, ranges=ranges), store, "cpu", ["eager"])
    served = Served(released, folder)
    yield served
    served.stop()


@pytest.fixture
def infer(served):
    """Ask a model for its one output; arrays are inputs."""
    with grpc.insecure_channel(served.grpc) as channel:
        call = channel.unary_unary(METHOD)

        def infer(model, **inputs):
            request = messages().ModelInferRequest(model_name=model)
            for name, array in inputs.items():
                request.inputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
                request.raw_input_contents.append(encode_raw(array))
            response = messages().ModelInferResponse.FromString(call(request.SerializeToString(), timeout=60))
            kind = {"FP32": np.float32, "INT64": np.int64}[response.outputs[0].datatype]
            return np.frombuffer(response.raw_output_contents[0], kind).reshape(response.outputs[0].shape)

        yield infer


def refusal(infer, model, **inputs):
    with pytest.raises(grpc.RpcError) as caught:
        infer(model, **inputs)
    return caught.value.code(), caught.value.details()


def worker_of(served, model):
    (worker,) = served.workers(model)
    return worker.pid


def test_callers_rows_do_not_mix(infer):
    rows = np.random.default_rng(0).standard_normal((80, 4)).astype(np.float32)
    wanted = np.where(rows.sum(1, keepdims=True) > 0, 2 * rows, 3 * rows)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda row: infer("mixing", x=row[None]), rows))
    np.testing.assert_allclose(np.concatenate(answers), wanted, rtol=1e-6)
    np.testing.assert_allclose(infer("mixing", x=rows[:8]), wanted[:8], rtol=1e-6)


def test_what_is_no_number_is_refused(infer):
    code, text = refusal(infer, "mixing", x=np.full((1, 4), np.nan, np.float32))
    assert (code, "all must be finite" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (np.array([[1, 150]]), "has the value 150; the range is 0 to 99"),
        (np.array([[-1, 5]]), "has the value -1; the range is 0 to 99"),
        (np.ones((1, 65), np.int64), "has shape [1, 65]; its dimension 1 may be 2 to 64"),
        (np.ones((1, 1), np.int64), "has shape [1, 1]; its dimension 1 may be 2 to 64"),
    ],
)
def test_indices_and_lengths_out_of_range_reach_no_worker(infer, served, tokens, words):
    worker = worker_of(served, "words")
    for _ in range(2):
        code, text = refusal(infer, "words", tokens=tokens)
        assert (code, words in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    table = torch.export.load(served.log.parent / "words.pt2").state_dict["table.weight"].detach().numpy()
    np.testing.assert_allclose(infer("words", tokens=np.array([[3, 99]])), [table[3] + table[99]], rtol=1e-5)
    assert worker_of(served, "words") == worker


def test_a_request_that_ends_its_worker_does_so_for_no_second_caller(infer, served):
    assert infer("dividing", a=np.array([9, -9]), b=np.array([-2, -2])).tolist() == [-4, 4]
    deadly = {"a": np.array([5, LEAST]), "b": np.array([-1, -1])}
    code, text = refusal(infer, "dividing", **deadly)
    assert (code, "not tried again for some minutes" in text) == (grpc.StatusCode.INTERNAL, True)
    assert infer("dividing", a=np.array([8]), b=np.array([-2])).tolist() == [-4]
    worker = worker_of(served, "dividing")
    assert [refusal(infer, "dividing", **deadly)[0] for _ in range(3)] == [grpc.StatusCode.INTERNAL] * 3
    assert infer("dividing", a=np.array([8]), b=np.array([-4])).tolist() == [-2]
    assert worker_of(served, "dividing") == worker
