"""Mutated requests by both protocols, through the gateway and a worker's code: nothing breaks, nobody is harmed."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from handlers.base import Outputs
from model_store.open_inference import INFER_PATH, messages
from services.gateway.grpc import OpenInferenceService
from services.gateway.grpc_errors import ErrorAnswers
from services.gateway.rest import make_app
from services.grpc_server import CallContext, CallError
from tests.services.gateway.conftest import WorkerBackend
from tests.services.gateway.fuzz import (
    RestMessage,
    make_grpc_seeds,
    make_rest_seeds,
    mutate_grpc,
    mutate_rest,
)

SEED = int(os.environ.get("FUZZ_SEED", "1"))
NUM_SHORT_GRPC, NUM_SHORT_REST = 1500, 400
NUM_LONG = 100_000
# So many go at once, with a neighbour among them who sends what is right.
NUM_AT_ONCE = 12
HANG_S = 20
GRPC_OUTCOMES = ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
HTTP_OUTCOMES = (200, 400, 404, 429, 504)


def infer(inputs, parameters, requested):
    """Answer as the manifest of the tests says: `y` is twice x, `label` a text."""
    texts = inputs.get("text")
    x = inputs["x"] if texts is None else np.zeros((len(texts), 2), np.float32)
    label = np.full(len(x), b"a", np.object_) if texts is None else texts
    outputs = {"y": 2 * x, "label": label}
    return Outputs({name: outputs[name] for name in requested or outputs})


@pytest.fixture
async def backend():
    return WorkerBackend(SimpleNamespace(manifest={"model": "double", "release": 3, "variant": "eager"}, infer=infer))


async def call_grpc(gateway, data):
    """The status of a call and its answer."""
    context = CallContext("127.0.0.1:1", (), {}, gateway.new_request_id)
    context.path = INFER_PATH
    service, answer = OpenInferenceService(gateway), []

    async def proceed():
        answer.append(await service.infer(data, context))

    try:
        await ErrorAnswers(gateway)(context, proceed)
    except CallError as error:
        return error.status.name, str(error)
    return "OK", answer[0]


async def call_rest(app, message, path="/v2/models/double/infer"):
    """The status of a request and its answer."""
    headers = [(b"content-length", str(len(message.body)).encode())]
    if message.header_length is not None:
        headers.append((b"inference-header-content-length", message.header_length.encode("utf-8")))
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "root_path": "", "scheme": "http", "headers": headers}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    events = [{"type": "http.request", "body": message.body, "more_body": False}]
    sent = []

    async def receive():
        return events.pop() if events else await asyncio.Event().wait()

    async def send(event):
        sent.append(event)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(event.get("body", b"") for event in sent[1:])


async def fuzz(count, mutate, call, allowed, right, check_right):
    """Send mutated messages in groups, a right one in the middle of each."""
    outcomes = Counter()
    for start in range(0, count, NUM_AT_ONCE):
        sent = [mutate() for _ in range(min(NUM_AT_ONCE, count - start))]
        middle = len(sent) // 2
        sent.insert(middle, right)
        async with asyncio.timeout(HANG_S):
            answers = await asyncio.gather(*map(call, sent))
        check_right(*answers[middle])
        for message, (status, said) in zip(sent, answers, strict=True):
            assert status in allowed, f"{status} {said!r} to {message!r}"
            outcomes[status] += 1
    # Of use only where much passes and much does not.
    assert min(outcomes[status] for status in allowed[:2]) > count / 10, outcomes


async def check_grpc(gateway, count):
    rng = random.Random(SEED)
    seeds = make_grpc_seeds(rng)
    right = messages().ModelInferRequest(model_name="double", id="right")
    right.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    right.raw_input_contents.append(np.array([[3, 4]], np.float32).tobytes())

    def check_right(status, answer):
        assert status == "OK", answer
        response = messages().ModelInferResponse.FromString(answer)
        assert np.frombuffer(response.raw_output_contents[0], np.float32).tolist() == [6, 8]

    await fuzz(
        count,
        lambda: mutate_grpc(rng, seeds),
        lambda data: call_grpc(gateway, data),
        GRPC_OUTCOMES,
        right.SerializeToString(),
        check_right,
    )


async def check_rest(gateway, count):
    rng = random.Random(SEED)
    seeds, app = make_rest_seeds(rng), make_app(gateway)
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [3, 4]}

    def check_right(status, answer):
        assert status == 200, answer
        assert json.loads(answer)["outputs"][0]["data"] == [6, 8]

    await fuzz(
        count,
        lambda: mutate_rest(rng, seeds),
        lambda message: call_rest(app, message),
        HTTP_OUTCOMES,
        RestMessage(json.dumps({"inputs": [tensor]}).encode()),
        check_right,
    )


async def test_mutated_grpc_requests_are_answered_or_refused(gateway):
    await check_grpc(gateway, NUM_SHORT_GRPC)


async def test_mutated_rest_requests_are_answered_or_refused(gateway):
    await check_rest(gateway, NUM_SHORT_REST)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("check", [check_grpc, check_rest])
async def test_a_hundred_thousand_mutated_requests_by_each_protocol(gateway, check):
    await check(gateway, NUM_LONG)
    assert len(asyncio.all_tasks()) == 1
