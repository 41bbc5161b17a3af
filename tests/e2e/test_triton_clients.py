"""tritonclient, unmodified, over gRPC and HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)
IMAGES = np.stack([np.full((8, 6, 3), level, np.uint8) for level in (0, 130, 255)])
LABELS = [b"dark", b"middle", b"bright"]


@pytest.fixture(params=["grpc", "http"])
def triton(request):
    return {"grpc": triton_grpc, "http": triton_http}[request.param]


@pytest.fixture
def client(triton, served):
    with triton.InferenceServerClient(served.grpc if triton is triton_grpc else served.http) as client:
        yield client


def make_input(triton, name, array, datatype="FP32", **how):
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, **how)
    return tensor


def as_dict(answer):
    return answer if isinstance(answer, dict | list) else json.loads(triton_grpc_json(answer))


def triton_grpc_json(message):
    from google.protobuf.json_format import MessageToJson

    return MessageToJson(message, preserving_proto_field_name=True)


def test_is_live_and_ready(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("scale")
    assert client.is_model_ready("scale", "1-eager")
    assert client.is_model_ready("scale", "1")


def test_describes_the_server_and_its_models(client):
    assert as_dict(client.get_server_metadata())["name"] == "millrace"
    metadata = as_dict(client.get_model_metadata("brightness"))
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == (
        "brightness",
        ["1-eager"],
        "pytorch_torchserve",
    )
    inputs = {
        tensor["name"]: (tensor["datatype"], [int(size) for size in tensor["shape"]]) for tensor in metadata["inputs"]
    }
    assert inputs == {"image": ("UINT8", [-1, 8, 6, 3]), "encoded": ("BYTES", [-1])}
    assert [tensor["name"] for tensor in metadata["outputs"]] == ["probabilities", "label"]


def test_lists_the_repository(client):
    index = as_dict(client.get_model_repository_index())
    models = index if isinstance(index, list) else index["models"]
    assert {(model["name"], model["version"], model["state"]) for model in models} == {
        ("scale", "1-eager", "READY"),
        ("brightness", "1-eager", "READY"),
        ("shades", "1-eager", "READY"),
    }


@pytest.mark.parametrize("version", ["", "1", "1-eager"])
def test_infers_several_rows(triton, client, version):
    result = client.infer("scale", [make_input(triton, "x", ROWS)], model_version=version, request_id="mine")
    assert result.as_numpy("y").tolist() == (2 * ROWS).tolist()
    response = as_dict(result.get_response())
    assert (response["id"], response["model_version"]) == ("mine", "1-eager")


def test_takes_and_gives_json_and_binary_tensors(served):
    with triton_http.InferenceServerClient(served.http) as client:
        for binary_in in (True, False):
            for binary_out in (True, False):
                tensor = make_input(triton_http, "x", ROWS, binary_data=binary_in)
                wanted = triton_http.InferRequestedOutput("y", binary_data=binary_out)
                result = client.infer("scale", [tensor], outputs=[wanted])
                assert result.as_numpy("y").tolist() == (2 * ROWS).tolist()


def test_infers_typed_contents(served):
    import grpc
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    request = service_pb2.ModelInferRequest(model_name="scale")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    tensor.contents.fp32_contents.extend([1, 2, 3, 4])
    with grpc.insecure_channel(served.grpc) as channel:
        response = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert np.frombuffer(response.raw_output_contents[0], np.float32).tolist() == [2, 4, 6, 8]


def test_gives_the_outputs_that_were_named(triton, client):
    wanted = [triton.InferRequestedOutput("label")]
    result = client.infer("brightness", [make_input(triton, "image", IMAGES, "UINT8")], outputs=wanted)
    assert result.as_numpy("label").tolist() == LABELS
    assert result.as_numpy("probabilities") is None


def test_passes_parameters_to_the_model(triton, client):
    inputs = [make_input(triton, "image", IMAGES[:1], "UINT8")]
    result = client.infer("brightness", inputs, parameters={"top_k": 2})
    assert result.as_numpy("label").tolist() == [[b"dark", b"middle"]]


def test_splits_a_request_of_more_rows_than_a_batch_takes(triton, client):
    rows = np.arange(4 * 100, dtype=np.float32).reshape(100, 4)
    assert client.infer("scale", [make_input(triton, "x", rows)]).as_numpy("y").tolist() == (2 * rows).tolist()


def test_gives_each_of_many_callers_its_own_rows(triton, client):
    def infer(number):
        rows = np.full((1 + number % 5, 4), number, np.float32)
        return client.infer("scale", [make_input(triton, "x", rows)]).as_numpy("y").tolist() == (2 * rows).tolist()

    if triton is triton_http:
        assert all(infer(number) for number in range(20))  # its client is for one thread
    else:
        with ThreadPoolExecutor(32) as pool:
            assert all(pool.map(infer, range(400)))


@pytest.mark.parametrize(
    ("name", "shape", "datatype", "model", "status", "http_status", "words"),
    [
        ("z", (1, 4), "FP32", "scale", "INVALID_ARGUMENT", "400", "there is no input 'z'"),
        ("x", (1, 4), "FP64", "scale", "INVALID_ARGUMENT", "400", "it must be FP32"),
        ("x", (1, 5), "FP32", "scale", "INVALID_ARGUMENT", "400", "it must be [N, 4]"),
        ("x", (600, 4), "FP32", "scale", "INVALID_ARGUMENT", "400", "may have 1 to 512"),
        (
            "x",
            (1, 4),
            "FP32",
            "scales",
            "NOT_FOUND",
            "404",
            "Request for unknown model: there is no model 'scales'; this server has brightness, scale, shades",
        ),
    ],
)
def test_says_what_is_wrong_with_a_request(triton, client, name, shape, datatype, model, status, http_status, words):
    array = np.zeros(shape, np.float64 if datatype == "FP64" else np.float32)
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, [make_input(triton, name, array, datatype)])
    assert words in caught.value.message()
    assert caught.value.status() in (f"StatusCode.{status}", http_status)


def test_refuses_nan(triton, client):
    with pytest.raises(InferenceServerException, match="NaN or infinite"):
        client.infer("scale", [make_input(triton, "x", np.full((1, 4), np.nan, np.float32))])
