"""What strangers send; neighbours in flight are unharmed."""

import io
import json
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import numpy as np
import pytest
from PIL import Image

from model_store.open_inference import messages
from model_store.tensors import encode_raw

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture
def infer(served):
    with grpc.insecure_channel(served.grpc, [("grpc.max_send_message_length", -1)]) as channel:
        yield channel.unary_unary(METHOD)


def image_file(level, size=(20, 30), kind="PNG"):
    file = io.BytesIO()
    Image.new("RGB", size, (level,) * 3).save(file, kind)
    return file.getvalue()


def noisy_file():
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (30, 30, 3), np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def giant_png():
    """A 50,000 × 50,000 picture in a file of a few bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def encoded_request(files, *outputs):
    elements = np.empty(len(files), np.object_)
    elements[:] = files
    request = messages().ModelInferRequest(model_name="brightness")
    request.inputs.add(name="encoded", datatype="BYTES", shape=[len(files)])
    request.raw_input_contents.append(encode_raw(elements))
    for name in outputs:
        request.outputs.add(name=name)
    return request.SerializeToString()


def decode_labels(response):
    message = messages().ModelInferResponse.FromString(response)
    names = [output.name for output in message.outputs]
    return message.raw_output_contents[names.index("label")]


def refusal(infer, data):
    with pytest.raises(grpc.RpcError) as caught:
        infer(data, timeout=60)
    request_id = dict(caught.value.trailing_metadata())["x-request-id"]
    assert caught.value.details().endswith(f"(request {request_id})")
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize("data", [b"\xff", encoded_request([b"x"])[:-3]], ids=["noise", "truncated"])
def test_refuses_what_is_no_message(infer, data):
    code, text = refusal(infer, data)
    assert (code, "truncated or not protobuf" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)


@pytest.mark.parametrize(
    ("file", "words"),
    [(b"no image", "not a PNG or JPEG file"), (noisy_file()[:900], "corrupt or truncated"), (giant_png(), "pixels")],
    ids=["text", "truncated", "giant"],
)
def test_refuses_corrupt_and_giant_images_and_says_so(infer, file, words):
    code, text = refusal(infer, encoded_request([file]))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert words in text


def test_names_the_rows_that_failed_or_gives_the_others_where_they_are_asked_for(infer):
    files = [image_file(0), b"broken", image_file(255, kind="JPEG")]
    code, text = refusal(infer, encoded_request(files))
    assert (code, "1 of 3 rows failed: row 1: not a PNG" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    message = messages().ModelInferResponse.FromString(infer(encoded_request(files, "label", "row_errors")))
    assert [output.name for output in message.outputs] == ["label", "row_errors"]
    assert message.raw_output_contents[0] == b"\x04\0\0\0dark\0\0\0\0\x06\0\0\0bright"


def test_bad_requests_do_not_harm_their_neighbours(infer, served):
    bad = [
        encoded_request([b"broken"]),
        encoded_request([giant_png()]),
        encoded_request([image_file(9)])[:-9],
        encoded_request([bytes(1000)] * 20),
        b"\xff\xff",
    ]

    def call(number):
        if number % 3 == 0:
            return refusal(infer, bad[number // 3 % len(bad)])[0] == grpc.StatusCode.INVALID_ARGUMENT
        return decode_labels(infer(encoded_request([image_file(255)]), timeout=60)) == b"\x06\0\0\0bright"

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(call, range(240)))
    assert httpx.get(f"http://{served.http}/v2/health/ready").status_code == 200


def test_refuses_bodies_of_100_mb_early(infer, served):
    code, text = refusal(infer, bytes(100_000_000))
    assert (code, "at most 67108864 are taken: send fewer rows" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    before = served.processes()[0].memory_info().rss
    for path in ("/v2/models/scale/infer", "/v1/brightness"):
        with httpx.Client(timeout=60) as client:
            try:
                response = client.post(f"http://{served.http}{path}", content=bytes(100_000_000))
            except httpx.WriteError:
                continue  # cut while it was still sending: refused early indeed
            assert response.status_code == 413
            assert "send fewer rows" in response.json()["error"]
    assert served.processes()[0].memory_info().rss - before < 100e6


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"inputs": 3}', "must be a list"),
        (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3]}]}', "has 3 values"),
        (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": ["a", 1, 2, 3]}]}', "not all FP32"),
        (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [NaN, 1, 2, 3]}]}', "must be finite"),
        (
            b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1e99, 1, 2, 3]}]}',
            "must be finite",
        ),
        (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, -4], "data": []}]}', "must be a list of sizes"),
        (b'{"inputs": [{"name": "x", "datatype": "FP33", "shape": [1, 4], "data": []}]}', "one of BOOL"),
        (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4]}]}', "has no contents"),
        (b'{"inputs": []}', "do not go together"),
    ],
)
def test_says_what_is_wrong_with_json(served, body, words):
    response = httpx.post(f"http://{served.http}/v2/models/scale/infer", content=body)
    assert response.status_code == 400
    assert words in response.json()["error"]
    assert response.json()["request"] == response.headers["x-request-id"]


@pytest.mark.parametrize("length", ["nonsense", "-1", "999999"])
def test_refuses_a_wrong_length_of_the_json_part(served, length):
    headers = {"Inference-Header-Content-Length": length}
    response = httpx.post(f"http://{served.http}/v2/models/scale/infer", content=b"{}", headers=headers)
    assert (response.status_code, "length of the JSON part" in response.json()["error"]) == (400, True)


def test_an_expired_deadline_is_answered(infer):
    with pytest.raises(grpc.RpcError) as caught:
        infer(encoded_request([image_file(1)]), timeout=1e-5)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_counts_requests_by_outcome(infer, served):
    refusal(infer, encoded_request([b"broken"]))
    infer(encoded_request([image_file(255)]))
    metrics = httpx.get(served.metrics).text
    assert 'millrace_requests_total{model="brightness",outcome="invalid",protocol="grpc",version="1-eager"}' in metrics
    assert 'millrace_requests_total{model="brightness",outcome="ok",protocol="grpc",version="1-eager"}' in metrics
    assert json.loads(httpx.get(f"http://{served.http}/").text)["models"][0]["ready"]
