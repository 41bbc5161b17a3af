import json

import numpy as np
import pytest

from model_store.tensors import decode_raw
from services.gateway.errors import InvalidRequestError
from services.gateway.rest_messages import OutputEncoding, decode_body, encode_answer_body
from services.gateway.tensors import InferAnswer, NamedTensor


def body(**changes):
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4]]} | changes
    return json.dumps({"inputs": [tensor]}).encode()


def decode(data, header_length=None):
    return decode_body(data, header_length, "double", "3")


def array_of(tensor):
    return decode_raw(tensor.data, tensor.datatype, tensor.shape).tolist()


@pytest.mark.parametrize("data", [[[1, 2], [3, 4]], [1, 2, 3, 4]])
def test_takes_nested_and_flat_data(data):
    request, encoding = decode(body(data=data))
    assert array_of(request.inputs[0]) == [[1, 2], [3, 4]]
    assert (request.model, request.version, encoding.is_binary("y")) == ("double", "3", False)


def test_takes_binary_data_in_the_order_of_the_inputs():
    parts = [np.float32([1, 2]).tobytes(), b"\x03"]
    inputs = [
        {"name": "a", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}},
        {"name": "b", "datatype": "UINT8", "shape": [1], "parameters": {"binary_data_size": 1}},
    ]
    head = json.dumps({"inputs": inputs}).encode()
    request, _ = decode(head + b"".join(parts), str(len(head)))
    assert [array_of(tensor) for tensor in request.inputs] == [[1, 2], [3]]
    with pytest.raises(InvalidRequestError, match="1 bytes follow"):
        decode(head + b"".join(parts) + b"x", str(len(head)))
    with pytest.raises(InvalidRequestError, match="input b has binary_data_size 1; 0 bytes of binary data"):
        decode(head + parts[0], str(len(head)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"datatype": "INT32", "data": [1.5, 2, 3, 4]}, "not all INT32"),
        ({"datatype": "UINT8", "data": [1, 2, 3, 256]}, "do not fit into UINT8"),
        ({"datatype": "INT64", "data": [1, 2, 3, 2**70]}, "not all INT64"),
        ({"datatype": "BOOL", "data": [1, 0, 1, 0]}, "not all BOOL"),
        ({"datatype": "BYTES", "data": ["a", "b", "c", 4]}, "must be strings"),
        ({"data": [[1, 2], [3]]}, "no regular array"),
        ({"data": [1, 2, 3]}, "has 3 values"),
        ({"data": None}, "not all FP32"),
        ({"parameters": {"shared_memory_region": "r"}}, "shared memory and classification are not offered"),
        ({"parameters": {"binary_data_size": 4}}, "send one of them"),
        ({"shape": [2, True, -1]}, "must be a list of sizes"),
    ],
)
def test_refuses_data_that_do_not_fit(changes, words):
    with pytest.raises(InvalidRequestError, match=words):
        decode(body(**changes))


def test_takes_a_timeout_as_a_deadline_and_not_as_a_parameter():
    request, _ = decode(json.dumps({"inputs": [], "parameters": {"timeout": 1000, "top_k": 2}}).encode())
    assert request.parameters == {"top_k": 2}
    assert request.deadline_s < float("inf")


def test_answers_in_json_and_binary():
    outputs = [
        NamedTensor("y", "FP32", (1, 2), np.float32([1.5, 2]).tobytes()),
        NamedTensor("label", "BYTES", (1,), b"\x03\0\0\0boo"),
    ]
    answer = InferAnswer("double", "3-int8", "id", outputs)
    data, length = encode_answer_body(answer, OutputEncoding({"y": True}, others=False))
    message = json.loads(data[:length])
    assert message["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert message["outputs"][1]["data"] == ["boo"]
    assert np.frombuffer(data[length:], np.float32).tolist() == [1.5, 2]
    assert encode_answer_body(answer, OutputEncoding({}, others=False))[1] is None


def test_refuses_to_give_bytes_that_are_no_text_as_json():
    answer = InferAnswer("m", "1", "id", [NamedTensor("image", "BYTES", (1,), b"\x01\0\0\0\xff")])
    with pytest.raises(InvalidRequestError, match="request it with binary_data"):
        encode_answer_body(answer, OutputEncoding({}, others=False))


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["\ud800"]}]},
        {"id": "\ud800"},
        {"parameters": {"mode": "\ud800"}},
        {"outputs": [{"name": "\ud800"}]},
    ],
)
def test_half_a_surrogate_pair_is_no_text(changes):
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]} | changes
    with pytest.raises(InvalidRequestError, match=r"no text: '\\ud800' holds half of a surrogate pair"):
        decode_body(json.dumps(body).encode(), None, "m", "")


def test_a_size_is_no_truth_value():
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, True], "data": [1]}]}
    with pytest.raises(InvalidRequestError, match=r"shape \[1, True\]; it must be a list of sizes"):
        decode_body(json.dumps(body).encode(), None, "m", "")
