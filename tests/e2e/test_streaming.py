"""Answers bit by bit through a real TorchServe: tritonclient's streams, server-sent events, and who leaves."""

import dataclasses
import json
import os
import queue
import signal
import threading
import time
from contextlib import contextmanager

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton

from model_store.signing import Keyring
from model_store.store import Store
from tests.e2e.conftest import Released, Served
from tests.e2e.test_life_and_death import leftovers
from tests.tiny_translator import RECIPE, TEXTS, build_tiny_network, describe_tiny_translator
from training.release.cli import release_model

# Texts that take seconds where nobody stops them; of one layer, which is exported in half the time.
LONG_RECIPE = dataclasses.replace(RECIPE, num_layers=1, max_pieces=800)
LONGEST = 2 * LONG_RECIPE.max_pieces - 1
GREEDY = {"beam_size": 1, "min_length": 6, "max_length": 12}
LONG = {"beam_size": 1, "min_length": LONGEST, "max_length": LONGEST}


@pytest.fixture(scope="module")
def translating(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translating")
    released = Released(folder / "store", folder / "keys")
    network = build_tiny_network(LONG_RECIPE)
    spec = describe_tiny_translator(network, folder, name="translator", recipe=LONG_RECIPE)
    release_model(spec, Store(released.store, Keyring(released.keys)), "cpu", ["eager"])
    served = Served(released, folder)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def client(translating):
    with triton.InferenceServerClient(translating.grpc) as client:
        yield client


@pytest.fixture
def http(translating):
    with httpx.Client(base_url=f"http://{translating.http}", timeout=60) as http:
        yield http


def make_inputs(*texts):
    tensor = triton.InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in texts], np.object_))
    return [tensor]


@contextmanager
def open_stream(client):
    """Open the client's stream; what comes goes into the queue as (result, error)."""
    heard = queue.Queue()
    client.start_stream(lambda result, error: heard.put((result, error)))
    try:
        yield heard
    finally:
        client.stop_stream(cancel_requests=True)


def listen(heard, num_requests):
    """Wait until so many requests have had their last answer: id → answers, id → error."""
    answers, errors = {}, []
    while num_requests:
        result, error = heard.get(timeout=60)
        if error is not None:
            errors.append(error.message())
            num_requests -= 1
            continue
        response = result.get_response()
        answers.setdefault(response.id, []).append(result)
        num_requests -= response.parameters["triton_final_response"].bool_param
    return answers, errors


def translate(client, text, **parameters):
    result = client.infer("translator", make_inputs(text), parameters=parameters)
    return result.as_numpy("translation")[0], result.as_numpy("score")[0]


@pytest.mark.parametrize("parameters", [GREEDY, {"beam_size": 3}, {"temperature": 2.0, "seed": 3, "max_length": 12}])
def test_sixteen_streams_of_one_call_say_what_whole_answers_say(client, parameters):
    with open_stream(client) as heard:
        for number in range(16):
            client.async_stream_infer(
                "translator", make_inputs(TEXTS[number % 4]), request_id=f"r{number}", parameters=parameters
            )
        answers, errors = listen(heard, 16)
    assert errors == []
    for number in range(16):
        whole, score = translate(client, TEXTS[number % 4], **parameters)
        *parts, last = answers[f"r{number}"]
        assert b"".join(part.as_numpy("translation")[0] for part in (*parts, last)) == whole
        assert last.as_numpy("score")[0] == pytest.approx(score, abs=1e-4)
        assert all(part.as_numpy("score") is None for part in parts)
        if parameters is GREEDY:
            assert len(parts) >= 4


def test_a_request_that_fails_ends_alone_and_the_call_goes_on(client):
    with open_stream(client) as heard:
        client.async_stream_infer("translator", make_inputs(""), request_id="empty")
        client.async_stream_infer("nobody", make_inputs("red"), request_id="nobody")
        client.async_stream_infer("translator", make_inputs("red"), parameters={"beam_size": 99})
        client.async_stream_infer(
            "translator", make_inputs("red"), request_id="good", enable_empty_final_response=True, parameters=GREEDY
        )
        answers, errors = listen(heard, 4)
    assert list(answers) == ["good"]
    assert len(errors) == 3
    assert any("the text is empty" in error and "(request empty)" in error for error in errors)
    assert any("there is no model 'nobody'" in error for error in errors)
    assert any("beam_size is 99" in error for error in errors)


def test_several_rows_come_as_one_answer(client):
    with open_stream(client) as heard:
        client.async_stream_infer("translator", make_inputs(*TEXTS), request_id="all", parameters=GREEDY)
        answers, _ = listen(heard, 1)
    (only,) = answers["all"]
    whole = client.infer("translator", make_inputs(*TEXTS), parameters=GREEDY)
    assert only.as_numpy("translation").tolist() == whole.as_numpy("translation").tolist()


def read_events(response):
    return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]


def test_events_say_what_the_whole_answer_says(client, http):
    body = {"text": TEXTS[0], "id": "mine", "parameters": GREEDY}
    with http.stream("POST", "/v2/models/translator/generate_stream", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = read_events(response)
    whole, score = translate(client, TEXTS[0], **GREEDY)
    assert len(events) >= 5
    assert {(event["model_name"], event["model_version"], event["id"]) for event in events} == {
        ("translator", "1-eager", "mine")
    }
    assert "".join(event["translation"] for event in events) == whole.decode()
    assert events[-1]["score"] == pytest.approx(score, abs=1e-4)
    answer = http.post("/v2/models/translator/versions/1/generate", json={"text": TEXTS[0]} | GREEDY).json()
    assert answer["translation"] == whole.decode()


@pytest.mark.parametrize(
    ("model", "body", "status", "words"),
    [
        ("translator", {"text": ""}, 400, "the text is empty"),
        ("translator", {"text": "red", "beams": 3}, 400, "there is no parameter 'beams'"),
        ("translator", ["red"], 400, "the body must be a JSON object"),
        ("nobody", {"text": "red"}, 404, "there is no model 'nobody'"),
    ],
)
@pytest.mark.parametrize("path", ["generate", "generate_stream"])
def test_what_is_refused_at_once_is_refused_by_its_status(http, model, body, status, words, path):
    answer = http.post(f"/v2/models/{model}/{path}", json=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def measure_work_s(translating, act):
    """How much processor time the worker uses for what `act` begins, until it is idle again."""
    (worker,) = translating.workers("translator")
    last = start = sum(worker.cpu_times()[:2])
    act()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.5)
        now = sum(worker.cpu_times()[:2])
        if now == last:
            break
        last = now
    return last - start


def stream_events(http, *, is_left):
    request = http.build_request("POST", "/v2/models/translator/generate_stream", json={"text": TEXTS[0]} | LONG)
    response = http.send(request, stream=True)
    lines = response.iter_lines()
    next(lines)
    if not is_left:
        assert len(list(lines)) > LONGEST / 2
    response.close()


def stream_call(client, *, is_left):
    with open_stream(client) as heard:
        client.async_stream_infer("translator", make_inputs(TEXTS[0]), parameters=LONG)
        assert heard.get(timeout=60)[1] is None
        if not is_left:
            listen(heard, 1)


def call(client, *, is_left):
    done = threading.Event()
    calling = client.async_infer("translator", make_inputs(TEXTS[0]), lambda result, error: done.set(), parameters=LONG)
    if is_left:
        time.sleep(0.2)
        calling.cancel()
    assert done.wait(60)


@pytest.mark.parametrize("ask", [stream_events, stream_call, call])
def test_who_leaves_ends_the_work_of_the_worker(translating, client, http, ask):
    caller = http if ask is stream_events else client
    full_s = measure_work_s(translating, lambda: ask(caller, is_left=False))
    assert full_s > 0.5
    assert measure_work_s(translating, lambda: ask(caller, is_left=True)) < full_s / 2


def test_metrics_tell_of_first_tokens_and_of_tokens(translating, http):
    lines = dict(line.rsplit(" ", 1) for line in httpx.get(translating.metrics).text.splitlines() if line[0] != "#")
    labels = '{model="translator",version="1-eager"}'
    before = float(lines[f"millrace_stream_tokens_total{labels}"])
    body = {"text": "red", "beam_size": 1, "min_length": 7, "max_length": 7}
    assert len(http.post("/v2/models/translator/generate_stream", json=body).text.split("\n\n")) > 5
    lines = dict(line.rsplit(" ", 1) for line in httpx.get(translating.metrics).text.splitlines() if line[0] != "#")
    assert float(lines[f"millrace_stream_tokens_total{labels}"]) == before + 7
    assert float(lines[f"millrace_first_token_seconds_count{labels}"]) > 0
    assert float(lines[f"millrace_streams{labels}"]) == 0


def test_a_stream_whose_worker_dies_says_so_and_the_next_one_is_answered(translating, client):
    with open_stream(client) as heard:
        client.async_stream_infer("translator", make_inputs(TEXTS[0]), parameters=LONG)
        assert heard.get(timeout=60)[1] is None
        (worker,) = translating.workers("translator")
        os.kill(worker.pid, signal.SIGKILL)
        _, errors = listen(heard, 1)
    assert "no worker of this model can answer now" in errors[0]
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with open_stream(client) as heard:
            client.async_stream_infer("translator", make_inputs("red"), parameters=GREEDY)
            answers, errors = listen(heard, 1)
        if answers:
            break
        time.sleep(0.5)
    assert answers
    assert not psutil.pid_exists(worker.pid)


def test_a_server_that_is_killed_while_it_answers_leaves_nothing_behind(translating, client):
    processes = translating.processes()
    (folder,) = {process.cwd() for process in processes if process.name() == "java"}
    with open_stream(client) as heard:
        client.async_stream_infer("translator", make_inputs(TEXTS[0]), parameters=LONG)
        assert heard.get(timeout=60)[1] is None
        translating.stop(signal.SIGKILL)
    assert leftovers(processes) == []
    assert not os.path.exists(folder)
