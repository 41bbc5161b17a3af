"""Explanations by a process of an archive's own, from the release to the verb."""

import asyncio
import dataclasses
import importlib.util
import json
import os
import zipfile

import httpx
import numpy as np
import pytest
import pytest_asyncio
import torch
from structlog.testing import capture_logs

from handlers.message import encode_failure
from model_store.signing import Keyring
from model_store.store import Store
from services.console import Console
from services.explaining import Explanations
from services.gateway.core import Gateway
from services.gateway.errors import InternalError, InvalidRequestError
from services.gateway.packing import pack_requests, unpack_answer
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest, NamedTensor
from services.selection import select_variants
from tests.builders import publish_release
from tests.handlers.conftest import describe_brightness
from tests.services.console.world import SmallModels
from training.release.cli import release_model
from training.release.spec import HeldOut, ReleaseSpec, TensorSpec, describe_row_program


class Slopes(torch.nn.Module):
    """Whether a signal [N, 4] rises or falls, by its last sample less its first."""

    def forward(self, signal):
        rise = signal[:, 3] - signal[:, 0]
        return torch.softmax(torch.stack([rise, -rise], 1), 1)


def describe_slopes():
    signals = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.float32)
    return ReleaseSpec(
        name="slopes",
        description="whether a signal rises",
        kind="signal_classifier",
        programs={"main": describe_row_program(Slopes(), torch.from_numpy(signals), max_rows=8, device="cpu")},
        inputs=(TensorSpec(name="signal", datatype="FP32", shape=(-1, 4), meaning="a signal", finite=False),),
        input_sets=(("signal",),),
        outputs=(
            TensorSpec(name="probabilities", datatype="FP32", shape=(-1, 2), meaning="of each", singular="probability"),
            TensorSpec(name="label", datatype="BYTES", shape=(-1,), meaning="the most probable"),
        ),
        handler_options={"labels": ["rises", "falls"]},
        held_out=HeldOut(
            inputs={"signal": signals},
            score=lambda outputs: (outputs["probabilities"].argmax(1) == np.arange(2)).astype(float),
            metric="accuracy",
            dataset="two slopes",
            binary=True,
        ),
        margin=0.01,
        max_rows=8,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    store = Store(folder / "store", Keyring(folder / "keys"))
    release_model(describe_brightness(1), store, "cpu", ["eager"])
    release_model(describe_slopes(), store, "cpu", ["eager"])
    publish_release(store, "net", {"eager": {}})
    signal = {"name": "signal", "datatype": "FP32", "shape": [-1, 4], "meaning": "samples"}
    publish_release(store, "signals", {"eager": {"inputs": [signal], "input_sets": [["signal"]]}})
    return store


def make_request(level, **parameters):
    image = NamedTensor("image", "UINT8", (1, 8, 6, 1), np.full(48, level, np.uint8).tobytes())
    given = {"method": "integrated-gradients", "num_steps": 64} | parameters
    return pack_requests([InferRequest("brightness", "", "", [image], parameters=given)])


async def test_a_process_explains_is_ended_when_idle_and_started_again_even_after_one_that_broke(store):
    explanations = Explanations(idle_s=0.05)
    release = store.open("brightness", 1)
    try:
        answer = await explanations.explain(release, make_request(255))
        ((image, attribution, probabilities),) = unpack_answer(answer, [1])
        places = np.frombuffer(attribution.data, np.float32)
        values = np.frombuffer(probabilities.data, np.float32)
        assert np.frombuffer(image.data, np.uint8).tolist() == [255] * 48
        assert values.argmax() == 2
        assert places.sum() == pytest.approx(values[2], abs=0.02)  # black is never bright
        (process,) = explanations._processes.values()
        pid, folder = process._process.pid, process._folder.name
        while os.path.exists(folder):
            await asyncio.sleep(0.01)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

        question = asyncio.create_task(explanations.explain(release, make_request(255)))
        while process._process is None:
            await asyncio.sleep(0.01)
        process._process.kill()  # our fault, and no later question's
        with pytest.raises(InternalError):
            await question
        assert await explanations.explain(release, make_request(255)) == answer
    finally:
        await explanations.close()


async def test_a_server_without_what_explains_says_so(store, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # as in an image that leaves it out
    with pytest.raises(InvalidRequestError, match="this server cannot explain: torch is not installed beside it"):
        await Explanations().explain(store.open("brightness", 1), b"")


async def test_a_release_for_gpus_says_which_one_can_be_explained(store):
    release = store.open("brightness", 1)
    manifest = release.manifests["eager"]
    on_gpu = manifest.model_copy(update={"target": manifest.target.model_copy(update={"device": "cuda"})})
    release = dataclasses.replace(release, manifests={**release.manifests, "eager": on_gpu})
    with pytest.raises(InvalidRequestError, match=r"brightness release 1 was released for GPUs.*with --device cpu too"):
        await Explanations().explain(release, b"")


@pytest.mark.parametrize(("model", "has"), [("net", "manifest.json"), ("signals", "handlers/explain.py")])
async def test_an_archive_from_before_cannot_explain(store, model, has):
    release = store.open(model, 1)
    with zipfile.ZipFile(release.archive_path("eager"), "w") as archive:
        archive.writestr(has, "{}")
    with pytest.raises(InvalidRequestError, match=f"{model} release 1 is from before its answers could be explained"):
        await Explanations().explain(release, b"")


def answer_failure():
    return encode_failure("brightness", "1-eager", "the network fell over")


def break_process():
    raise InternalError("the explanation failed", cause="the network fell over")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("end", [answer_failure, break_process])
async def test_what_broke_while_it_was_explained_is_in_the_log(http, monkeypatch, end):
    async def fail(self, release, request):
        return end()

    monkeypatch.setattr(Explanations, "explain", fail)
    with capture_logs() as logs:
        assert (await http.post("/v2/models/brightness/explain", json=body())).status_code == 500
    assert [log["error"] for log in logs if log["event"] == "an explanation failed"] == ["the network fell over"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(store):
    """The door of a console, one for all tests: the process that explains takes seconds to import torch."""
    gateway = Gateway(
        select_variants(store, ["brightness", "slopes"], ["default"], "cpu"), SmallModels(), GatewaySettings()
    )
    console = Console(gateway, store)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make_app(gateway, console)), base_url="http://here"
    ) as client:
        yield client
    await console.close()


def body(**changes):
    image = {"name": "image", "datatype": "UINT8", "shape": [1, 8, 6, 1], "data": [128] * 48}
    return {"inputs": [image]} | changes


@pytest.mark.asyncio(loop_scope="module")
async def test_the_verb_answers_in_the_protocols_own_form(http):
    answer = await http.post("/v2/models/brightness/explain", json=body())
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output for output in answer.json()["outputs"]}
    assert answer.json()["model_version"] == "1-eager"
    assert outputs["attribution"]["shape"] == [1, 8, 6]
    assert np.argmax(outputs["probabilities"]["data"]) == 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"parameters": {"method": "guess"}}, "must be one of integrated-gradients, grad-cam"),
        ({"parameters": {"method": "attention"}}, "not explained by attention, but by integrated-gradients, grad-cam"),
        ({"parameters": {"num_steps": 1}}, "the range is 8 to 256"),
        ({"parameters": {"gain": 1}}, "there is no parameter 'gain'"),
        ({"parameters": {"class": 7}}, "there is no class 7; the program tells 3 apart"),
        ({"parameters": {"method": "grad-cam"}}, "no convolution over places"),
        ({"inputs": []}, "input"),
    ],
)
async def test_what_cannot_be_explained_is_refused_with_the_reason(http, changes, why):
    answer = await http.post("/v2/models/brightness/explain", json=body(**changes))
    assert answer.status_code == 400
    assert why in answer.json()["error"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_signal_is_explained_sample_by_sample_and_its_gap_filled(http):
    signal = np.array([[0, np.nan, 1, 2]], np.float32)
    sent = {"name": "signal", "datatype": "FP32", "shape": [1, 4], "data": signal.tolist()}
    answer = await http.post(
        "/v2/models/slopes/explain",
        content=json.dumps({"inputs": [sent], "parameters": {"num_steps": 64}}),
    )
    assert answer.status_code == 200, answer.text
    found = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    assert found["signal"] == [0, 0.5, 1, 2]
    rises = 1 / (1 + np.exp(-4))
    assert found["probabilities"] == pytest.approx([rises, 1 - rises], abs=1e-5)
    assert found["attribution"] == pytest.approx([0, 0, 0, rises - 0.5], abs=2e-3)
