import numpy as np
import pytest

from model_store.open_inference import messages
from services.gateway.grpc_messages import decode_request
from services.gateway.known_heads import KnownHeads
from services.gateway.tensors import InferRequest


def make_message(values, **changes):
    message = messages().ModelInferRequest(**{"model_name": "m", "model_version": "1", **changes})
    message.inputs.add(name="x", datatype="FP32", shape=[1, len(values)])
    message.outputs.add(name="y")
    message.raw_input_contents.append(np.float32(values).tobytes())
    return message


def read(heads, first, second):
    """Learn from one message and read another."""
    data = first.SerializeToString()
    heads.learn(data, decode_request(data))
    return heads.read(second.SerializeToString())


def test_reads_what_differs_in_its_contents_only_and_copies_nothing():
    data = make_message([3, 4]).SerializeToString()
    request = read(KnownHeads(), make_message([1, 2]), make_message([3, 4]))
    (tensor,) = request.inputs
    assert (request.model, request.version, request.outputs, request.packed) == ("m", "1", ("y",), data)
    assert (tensor.name, tensor.datatype, tensor.shape) == ("x", "FP32", (1, 2))
    assert np.frombuffer(tensor.data, np.float32).tolist() == [3, 4]
    assert isinstance(tensor.data, memoryview)


@pytest.mark.parametrize(
    "other", [make_message([3, 4], model_name="n"), make_message([3]), make_message([3, 4], id="7")]
)
def test_reads_nothing_else(other):
    assert read(KnownHeads(), make_message([1, 2]), other) is None


@pytest.mark.parametrize("field", ["id", "parameters"])
def test_learns_nothing_of_messages_with_something_of_their_own(field):
    message = make_message([1, 2])
    if field == "id":
        message.id = "7"
    else:
        message.parameters["top_k"].int64_param = 1
    assert read(KnownHeads(), message, message) is None


def test_contents_inside_another_field_are_not_taken_for_the_contents():
    contents = make_message([1, 2]).raw_input_contents[0]
    data = make_message([1, 2]).SerializeToString()
    unknown = b"\xa2\x06" + bytes([len(contents) + 2, 0x3A, len(contents)]) + contents  # field 100
    heads = KnownHeads()
    request = decode_request(data + unknown)
    heads.learn(data + unknown, request)
    assert heads.read(data + unknown) is None


def test_remembers_a_bounded_number_of_heads():
    heads = KnownHeads()
    for size in range(1, 1100):
        data = make_message([0.0] * size).SerializeToString()
        heads.learn(data, decode_request(data))
    assert 0 < len(heads._heads) <= 1024
    assert heads.read(make_message([5.0]).SerializeToString()) is None
    assert isinstance(heads.read(make_message([5.0] * 1099).SerializeToString()), InferRequest)
