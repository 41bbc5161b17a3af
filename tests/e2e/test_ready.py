"""Ready is what an answer has shown: every server that these tests start is watched from its first moment."""

import shutil

import grpc
import httpx
import pytest

from model_store.examples import read_examples, write_examples
from model_store.manifest import ReleaseIndex
from model_store.open_inference import SERVICE, messages
from model_store.release import GOLDEN_NAME, INDEX_NAME, SIGNATURE_NAME, file_digest
from model_store.signing import Keyring
from tests.e2e.conftest import Released, Served


def test_the_first_request_after_ready_is_answered_and_all_ways_of_asking_agree(served):
    assert served.start.first_answers == dict.fromkeys(("scale", "brightness", "shades"), "OK")
    assert served.start.contradictions == []
    assert served.start.num_looks > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_servers_answer_the_first_request_after_ready(released, tmp_path):
    refused = []
    for _ in range(20):
        served = Served(released, tmp_path)
        served.stop()
        refused += [answer for answer in served.start.first_answers.values() if answer != "OK"]
        refused += served.start.contradictions
    assert refused == []


def test_a_variant_that_computes_something_else_than_was_released_is_not_ready_and_says_why(released, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(released.store / "scale", store / "scale")
    sign_other_golden_rows(store / "scale" / "1", Keyring(released.keys))
    served = Served(Released(store, released.keys), tmp_path, "scale", becomes_ready=False)
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
    with httpx.Client(base_url=f"http://{served.http}", timeout=30) as client:
        (row,) = client.post("/v2/repository/index").json()
        health = client.get("/v2/health/ready").status_code
        answer = client.post("/v2/models/scale/infer", json=body)
    with grpc.insecure_channel(served.grpc) as channel:
        request = messages().RepositoryIndexRequest().SerializeToString()
        data = channel.unary_unary(f"/{SERVICE}/RepositoryIndex")(request, timeout=30)
        (model,) = messages().RepositoryIndexResponse.FromString(data).models
    metrics = httpx.get(served.metrics).text
    served.stop()
    why = "output 'y' for golden rows of x deviates by 0.33 of its size from what was released; 0.001 is allowed"
    assert row == {"name": "scale", "version": "1-eager", "state": "UNAVAILABLE", "reason": why}
    assert (model.state, model.reason) == ("UNAVAILABLE", why)
    assert (health, answer.status_code) == (503, 503)
    assert "scale 1-eager computes something else on this machine than was released" in answer.json()["error"]
    assert 'millrace_golden_mismatch{model="scale",version="1-eager"} 1.0' in metrics
    assert f"NOT READY scale 1-eager: {why}" in served.log.read_text()


def sign_other_golden_rows(folder, keyring):
    """Make a release expect three times x of a program that doubles it."""
    rows = {place: rows * 1.5 for place, rows in read_examples(folder / GOLDEN_NAME).items()}
    write_examples(folder / GOLDEN_NAME, {place: array.astype("float32") for place, array in rows.items()})
    index = ReleaseIndex.model_validate_json((folder / INDEX_NAME).read_bytes())
    golden = index.golden.model_copy(update={"digest": file_digest(folder / GOLDEN_NAME)})
    (folder / INDEX_NAME).write_text(index.model_copy(update={"golden": golden}).model_dump_json())
    (folder / SIGNATURE_NAME).write_bytes(keyring.sign((folder / INDEX_NAME).read_bytes()))
