import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.open_inference import messages
from model_store.tensors import decode_raw, encode_raw
from services.gateway.errors import InternalError
from services.gateway.packing import ask_for_times, gather_rows, pack_requests, unpack_answer
from services.gateway.tensors import InferRequest, NamedTensor


def make_request(rows, **changes):
    array = np.asarray(rows, np.float32)
    return InferRequest("m", "", "", [NamedTensor("x", "FP32", array.shape, encode_raw(array))], **changes)


def make_response(**outputs):
    response = messages().ModelInferResponse()
    for name, array in outputs.items():
        datatype = "BYTES" if array.dtype == np.object_ else "FP32"
        response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        response.raw_output_contents.append(encode_raw(array))
    return response.SerializeToString()


def test_joins_the_rows_of_many_callers_in_order():
    first, second = (
        make_request(rows, parameters={"k": 2}, outputs=("y", "row_errors")) for rows in ([[1, 2]], [[3, 4], [5, 6]])
    )
    message = messages().ModelInferRequest.FromString(pack_requests([first, second]))
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in message.inputs] == [("x", "FP32", [3, 2])]
    assert decode_raw(message.raw_input_contents[0], "FP32", (3, 2)).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert message.parameters["k"].int64_param == 2
    assert [output.name for output in message.outputs] == ["y"]


def test_sends_a_single_request_as_it_came():
    assert pack_requests([make_request([[1, 2]], packed=b"as it came")]) == b"as it came"


@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=3), min_size=1, max_size=5))
def test_gives_every_caller_its_own_rows_back(groups):
    elements = np.array([None] * sum(map(len, groups)), np.object_)
    elements[:] = [element for group in groups for element in group]
    parts = unpack_answer(make_response(text=elements), [len(group) for group in groups])
    for group, (tensor,) in zip(groups, parts, strict=True):
        assert decode_raw(bytes(tensor.data), "BYTES", tensor.shape).tolist() == group


def test_refuses_an_answer_with_another_number_of_rows():
    with pytest.raises(InternalError) as caught:
        unpack_answer(make_response(y=np.zeros((3, 2), np.float32)), [1, 1])
    assert "has 3 rows, expected 2" in caught.value.cause


def test_reports_a_handler_that_broke():
    response = messages().ModelInferResponse()
    response.parameters["internal_error"].string_param = "ZeroDivisionError"
    with pytest.raises(InternalError, match="the model failed") as caught:
        unpack_answer(response.SerializeToString(), [1])
    assert caught.value.cause == "ZeroDivisionError"


def test_tells_parameters_apart_that_python_holds_equal():
    packed = [pack_requests([make_request([[1, 2]], parameters={"k": value})]) for value in (True, 1, 1.0)]
    kinds = [
        messages().ModelInferRequest.FromString(data).parameters["k"].WhichOneof("parameter_choice") for data in packed
    ]
    assert kinds == ["bool_param", "int64_param", "double_param"]


def test_gathered_rows_are_the_message_that_packed_ones_are():
    requests = [make_request(rows, parameters={"k": 2}, outputs=("y",)) for rows in ([[1, 2]], [[3, 4]])]
    assert gather_rows(requests).join() == pack_requests(requests)
    asked = messages().ModelInferRequest.FromString(gather_rows(requests).ask_for_times().join())
    assert asked == messages().ModelInferRequest.FromString(ask_for_times(pack_requests(requests)))
