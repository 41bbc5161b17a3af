from time import monotonic

import pytest

from model_store.open_inference import messages
from services.gateway.grpc_messages import decode_request, encode_answer
from services.gateway.tensors import InferAnswer, NamedTensor


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
def test_encodes_answers_that_protobuf_reads(size):
    tensor = NamedTensor("y", "UINT8", (1, size), memoryview(bytes(size)))
    message = messages().ModelInferResponse.FromString(encode_answer(InferAnswer("m", "1-int8", "né", [tensor])))
    assert (message.model_name, message.model_version, message.id) == ("m", "1-int8", "né")
    assert list(message.outputs[0].shape) == [1, size]
    assert list(message.raw_output_contents) == [bytes(size)]


def test_takes_a_priority_and_a_timeout_as_tritons_client_sends_them():
    message = messages().ModelInferRequest(model_name="m")
    message.parameters["priority"].uint64_param = 1
    message.parameters["timeout"].int64_param = 2_000_000
    message.parameters["variant"].string_param = "any"
    request = decode_request(message.SerializeToString())
    assert (request.priority, request.any_variant, request.parameters) == (1, True, {})
    assert 1.5 < request.deadline_s - monotonic() <= 2


def test_what_rest_needs_of_a_tensor_is_no_matter_here():
    message = messages().ModelInferRequest(model_name="m")
    tensor = message.inputs.add(name="x", datatype="FP32", shape=[1])
    tensor.parameters["binary_data_size"].int64_param = 4
    message.raw_input_contents.append(bytes(4))
    message.parameters["triton_enable_empty_final_response"].bool_param = True
    request = decode_request(message.SerializeToString())
    assert (request.inputs[0].data, request.parameters) == (bytes(4), {})
