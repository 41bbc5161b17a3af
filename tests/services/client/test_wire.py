import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.open_inference import messages
from model_store.tensors import decode_raw, encode_raw
from services.client.wire import decode_infer_response, encode_infer_request


def respond(**arrays):
    response = messages().ModelInferResponse(model_name="m", model_version="1-a", id="7")
    for name, array in arrays.items():
        response.outputs.add(name=name, datatype="FP32", shape=array.shape)
        response.raw_output_contents.append(encode_raw(array))
    return response.SerializeToString()


def test_request_is_what_protobuf_would_have_made():
    arrays = {"x": np.arange(12, dtype=np.float16).reshape(3, 4), "t": np.array([b"ab", "ü", b""], np.object_)}
    data = encode_infer_request(
        "m",
        arrays,
        version="3-int8",
        parameters={"top_k": 3, "fast": True, "t": 0.5, "s": "é"},
        outputs=["y"],
        request_id="r",
    )
    request = messages().ModelInferRequest.FromString(data)
    assert (request.model_name, request.model_version, request.id) == ("m", "3-int8", "r")
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in request.inputs] == [
        ("x", "FP16", [3, 4]),
        ("t", "BYTES", [3]),
    ]
    assert list(request.raw_input_contents) == [encode_raw(array) for array in arrays.values()]
    assert request.parameters["top_k"].int64_param == 3
    assert request.parameters["fast"].WhichOneof("parameter_choice") == "bool_param"
    assert (request.parameters["t"].double_param, request.parameters["s"].string_param) == (0.5, "é")
    assert [output.name for output in request.outputs] == ["y"]


@pytest.mark.parametrize("shape", [(0, 4), (1,), (200, 3), (70_000,)])
def test_arrays_of_any_size_and_layout_arrive(shape):
    array = np.asfortranarray(np.random.default_rng(1).normal(size=shape))
    request = messages().ModelInferRequest.FromString(encode_infer_request("m", {"x": array}))
    np.testing.assert_array_equal(decode_raw(request.raw_input_contents[0], "FP64", shape), array)


def test_answer_arrays_are_views_of_the_received_bytes():
    data = respond(y=np.arange(1000, dtype=np.float32))
    array = decode_infer_response(data).arrays["y"]
    np.testing.assert_array_equal(array, np.arange(1000, dtype=np.float32))
    assert not array.flags.owndata
    whole = np.frombuffer(data, np.uint8)
    assert np.shares_memory(array, whole)


def test_answer_keeps_names_version_and_id():
    answer = decode_infer_response(respond(a=np.zeros(2, np.float32), b=np.ones((1, 1), np.float32)))
    assert (answer.model, answer.version, answer.request_id, list(answer.arrays)) == ("m", "1-a", "7", ["a", "b"])


def test_missing_raw_contents_are_named():
    response = messages().ModelInferResponse(model_name="m")
    response.outputs.add(name="y", datatype="FP32", shape=[1])
    with pytest.raises(ValueError, match="1 outputs but raw contents for 0"):
        decode_infer_response(response.SerializeToString())


@given(st.integers(1, 47))
def test_truncated_answers_are_refused(cut):
    data = respond(y=np.arange(8, dtype=np.float32))
    with pytest.raises(ValueError):  # noqa: PT011 - where the cut falls decides the message
        decode_infer_response(data[: len(data) - cut])


def test_a_parameter_of_unknown_type_is_refused():
    with pytest.raises(ValueError, match="parameter k is list; use a bool, int, float or str"):
        encode_infer_request("m", {}, parameters={"k": [1]})


def test_a_dtype_outside_the_protocol_is_refused():
    with pytest.raises(ValueError, match="complex64"):
        encode_infer_request("m", {"x": np.zeros(1, np.complex64)})
