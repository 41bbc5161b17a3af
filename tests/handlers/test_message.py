import numpy as np
import pytest

from handlers.message import decode_request, encode_failure, encode_response
from model_store.open_inference import messages
from model_store.tensors import decode_raw, encode_raw


def pack(**arrays):
    request = messages().ModelInferRequest(model_name="net")
    for name, array in arrays.items():
        datatype = "BYTES" if array.dtype == object else "FP32"
        request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        request.raw_input_contents.append(encode_raw(array))
    return request


def test_decodes_inputs_parameters_and_requested_outputs():
    request = pack(x=np.arange(6, dtype=np.float32).reshape(2, 3), s=np.array([b"a", b""], object))
    request.parameters["top_k"].int64_param = 2
    request.parameters["mode"].string_param = "fast"
    request.outputs.add(name="y")
    decoded = decode_request(bytearray(request.SerializeToString()))
    np.testing.assert_array_equal(decoded.inputs["x"], [[0, 1, 2], [3, 4, 5]])
    assert decoded.inputs["s"].tolist() == [b"a", b""]
    assert decoded.parameters == {"top_k": 2, "mode": "fast"}
    assert decoded.requested == ("y",)


def test_refuses_typed_contents():
    request = pack(x=np.zeros((1, 1), np.float32))
    del request.raw_input_contents[:]
    with pytest.raises(ValueError, match="1 inputs with 0 raw contents"):
        decode_request(request.SerializeToString())


def test_answer_carries_arrays_and_row_errors_only_where_a_row_failed():
    arrays = {"y": np.ones((2, 3), np.float32), "label": np.array([b"a", b"bc"], object)}
    answer = messages().ModelInferResponse.FromString(encode_response("net", "1-eager", arrays, [None, None]))
    assert [(output.name, output.datatype, list(output.shape)) for output in answer.outputs] == [
        ("y", "FP32", [2, 3]),
        ("label", "BYTES", [2]),
    ]
    answer = messages().ModelInferResponse.FromString(encode_response("net", "1-eager", arrays, [None, "too dark"]))
    assert answer.outputs[2].name == "row_errors"
    assert decode_raw(answer.raw_output_contents[2], "BYTES", (2,)).tolist() == [b"", b"too dark"]


def test_failure_has_no_outputs_and_a_text_for_the_log():
    answer = messages().ModelInferResponse.FromString(encode_failure("net", "1-eager", "Traceback …"))
    assert answer.parameters["internal_error"].string_param == "Traceback …"
    assert len(answer.outputs) == 0
