"""A small Open Inference server in a thread.

Model `classifier` answers images, `double` doubles x, `seq2seq` translates into capitals, and
`beamformer` always forms the same beams. A test of another kind brings its own answers.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import numpy as np

from model_store.open_inference import SERVICE, messages
from model_store.tensors import datatype_of, decode_raw, encode_raw

CORRUPT = b"corrupt"
TOO_LONG = b"too long"


@dataclass
class FakeServer:
    """What the server saw, and when it becomes ready.

    `answers` maps further models to functions from a request and its inputs to outputs, `descriptions` to functions
    that complete the metadata.
    """

    port: int = 0
    not_ready_answers: int = 0
    requests: list = field(default_factory=list)
    answers: dict[str, Callable] = field(default_factory=dict)
    descriptions: dict[str, Callable] = field(default_factory=dict)
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def infer(self, request, context):
        self.requests.append(request)
        inputs = {
            tensor.name: decode_raw(raw, tensor.datatype, tuple(tensor.shape))
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        if request.model_name in self.answers:
            return self._answer(request, self.answers[request.model_name](request, inputs))
        if request.model_name == "double":
            return self._answer(request, {"y": inputs["x"] * 2})
        if request.model_name in ("classifier", "shoes"):
            return self._classify(request, inputs)
        if request.model_name == "seq2seq":
            return self._translate(request, inputs)
        if request.model_name == "beamformer":
            return self._beamform(request, inputs["channel"])
        if request.model_name == "tiring":  # each answer takes longer than the one before
            time.sleep(0.0002 * len(self.requests))
            return self._answer(request, {"y": inputs["x"] * 2})
        if request.model_name == "slow":
            self.release.wait(10)
        status = {"busy": grpc.StatusCode.RESOURCE_EXHAUSTED, "broken": grpc.StatusCode.INTERNAL}.get(
            request.model_name, grpc.StatusCode.NOT_FOUND
        )
        context.set_trailing_metadata((("x-request-id", f"server-{request.id}"),))
        return context.abort(status, f"no model {request.model_name!r}; there are classifier and double")

    def _classify(self, request, inputs):
        (rows,) = inputs.values()
        if "top_k" not in request.parameters:
            return self._answer(request, {"label": np.array([b"label0"] * len(rows), np.object_)})
        top = request.parameters["top_k"].int64_param
        labels = np.array([[f"label{k}".encode() for k in range(top)] for _ in rows], np.object_)
        arrays = {
            "label": labels,
            "probabilities": np.array([[1 / (k + 2) for k in range(top)] for _ in rows], np.float32),
        }
        if "row_errors" in [output.name for output in request.outputs]:
            arrays["row_errors"] = np.array(
                ["not an image" if isinstance(row, bytes) and row == CORRUPT else "" for row in rows], np.object_
            )
        return self._answer(request, arrays)

    def _translate(self, request, inputs):
        shape = (len(inputs["text"]), request.parameters["num_hypotheses"].int64_param)
        arrays = {
            "translation": np.empty(shape, np.object_),
            "score": np.empty(shape, np.float32),
            "alignment": np.empty(shape, np.object_),
            "row_errors": np.array(
                ["the limit is 9 pieces" if text == TOO_LONG else "" for text in inputs["text"]], np.object_
            ),
        }
        for row, rank in np.ndindex(shape):
            words = inputs["text"][row].decode().split()
            arrays["translation"][row, rank] = " ".join(words).upper().encode() + b"!" * rank
            arrays["score"][row, rank] = -1 - rank
            weights = np.eye(len(words)).tolist()
            arrays["alignment"][row, rank] = json.dumps({"source": words, "target": words, "weights": weights}).encode()
        wanted = [output.name for output in request.outputs]
        return self._answer(request, {name: array for name, array in arrays.items() if name in wanted})

    def _beamform(self, request, channel):
        rows, subcarriers, receive, transmit, _ = channel.shape
        precoder, combiner = (
            np.zeros((rows, subcarriers, antennas, 2, 2), np.float32) for antennas in (transmit, receive)
        )
        for weights in (precoder, combiner):
            weights[:, :, 0, 0, 0] = weights[:, :, 1, 1, 0] = 1
        errors = ["" if row.any() else "all zeros" for row in channel]
        arrays = {"precoder": precoder, "combiner": combiner, "row_errors": np.array(errors, np.object_)}
        if "rf_chains" in request.parameters:
            chains = request.parameters["rf_chains"].int64_param
            for side, antennas in (("precoder", transmit), ("combiner", receive)):
                arrays[f"analog_{side}"] = np.ones((rows, antennas, chains, 2), np.float32)
                arrays[f"baseband_{side}"] = np.ones((rows, subcarriers, chains, 2, 2), np.float32)
        return self._answer(request, arrays)

    def _answer(self, request, arrays):
        response = messages().ModelInferResponse(model_name=request.model_name, model_version="1-int8", id=request.id)
        for name, array in arrays.items():
            response.outputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
            response.raw_output_contents.append(encode_raw(array))
        return response

    def is_ready(self, request, context):
        self.not_ready_answers -= 1
        return messages().ModelReadyResponse(ready=self.not_ready_answers < 0)

    def describe(self, request, context):
        response = messages().ModelMetadataResponse(
            name=request.name, versions=["1-int8", "1-eager"], platform="millrace"
        )
        if request.name in self.descriptions:
            self.descriptions[request.name](response)
            return response
        response.properties["kind"] = "classifier" if request.name == "shoes" else "tensor"
        if request.name == "beamformer":
            response.inputs.add(name="channel", datatype="FP32", shape=[-1, 5, 36, 144, 2])
            return response
        response.inputs.add(name="x", datatype="FP32", shape=[-1, 4])
        response.outputs.add(name="y", datatype="FP32", shape=[-1, 4])
        response.properties["input.x"] = "four numbers; at most 9 V"
        response.properties["input_sets"] = "x"
        response.properties["parameter.k"] = "int64: how many"
        return response


@contextmanager
def run_server(credentials: grpc.ServerCredentials | None = None) -> Iterator[FakeServer]:
    """Serve on a free loopback port, with credentials by TLS."""
    fake = FakeServer()
    pool = messages()
    methods = {
        "ModelInfer": (fake.infer, pool.ModelInferRequest),
        "ModelReady": (fake.is_ready, pool.ModelReadyRequest),
        "ServerReady": (fake.is_ready, pool.ServerReadyRequest),
        "ModelMetadata": (fake.describe, pool.ModelMetadataRequest),
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            method,
            request_deserializer=kind.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        for name, (method, kind) in methods.items()
    }
    options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    address = "127.0.0.1:0"
    fake.port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield fake
    finally:
        fake.release.set()
        server.stop(None).wait()
