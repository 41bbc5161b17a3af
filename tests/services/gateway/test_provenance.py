"""Answers that say what they are from, and requests that are kept to prove it."""

import os
import stat
import threading

import numpy as np
import pytest

from model_store.golden import GoldenAnswer
from model_store.interface import Parameter
from model_store.open_inference import messages
from services.catalogue import Catalogue
from services.gateway.core import Gateway
from services.gateway.grpc_messages import decode_request, encode_answer
from services.gateway.provenance import make_headers
from services.gateway.records import Record, RecordError, RecordFolder, read_key
from services.gateway.rest_messages import OutputEncoding, encode_answer_body
from services.gateway.settings import GatewaySettings
from services.replay import judge, read_answer, rebuild_request
from tests.services.gateway.conftest import make_manifest, make_variant

SEED = Parameter(name="seed", kind="int64", meaning="what is drawn", minimum=0)
TEMPERATURE = Parameter(name="temperature", kind="double", meaning="how much chance", minimum=0)
KEY = bytes(range(32))


@pytest.fixture
def sampler(tmp_path):
    """A variant that draws where a temperature is given."""
    return make_variant(make_manifest(parameters=(SEED, TEMPERATURE)), tmp_path, release_digest="a1b2")


def make_request(value=1.0, **parameters):
    request = messages().ModelInferRequest(model_name="double", id="r-1")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(np.full((1, 2), value, np.float32).tobytes())
    for name, given in parameters.items():
        field = {bool: "bool_param", int: "int64_param", float: "double_param"}[type(given)]
        setattr(request.parameters[name], field, given)
    decoded = decode_request(request.SerializeToString())
    decoded.protocol = "grpc"
    return decoded


def make_settings(folder, **changes):
    key = folder / "records.key"
    return GatewaySettings(record_folder=folder / "records", record_key=key, **changes)


async def test_an_answer_names_its_release_variant_and_seed_where_asked(sampler, backend):
    gateway = Gateway(Catalogue([sampler]), backend, GatewaySettings())
    assert (await gateway.infer(make_request(temperature=0.5))).parameters == {}
    plain = await gateway.infer(make_request(provenance=True))
    assert plain.parameters == {"release_digest": "a1b2", "variant": "eager"}
    given = await gateway.infer(make_request(provenance=True, temperature=0.5, seed=7))
    assert given.parameters["seed"] == 7
    drawn = [await gateway.infer(make_request(provenance=True, temperature=0.5)) for _ in range(2)]
    seeds = [answer.parameters["seed"] for answer in drawn]
    assert seeds[0] != seeds[1]
    response = messages().ModelInferResponse.FromString(encode_answer(drawn[0]))
    assert response.parameters["seed"].int64_param == seeds[0]
    assert response.parameters["release_digest"].string_param == "a1b2"
    body, _ = encode_answer_body(given, OutputEncoding({}, others=False))
    assert b'"parameters":{"release_digest":"a1b2","variant":"eager","seed":7}' in body


async def test_a_sampled_request_is_kept_as_it_was_answered(sampler, backend, tmp_path):
    settings = make_settings(tmp_path, record=1.0)
    gateway = Gateway(Catalogue([sampler]), backend, settings)
    answer = await gateway.infer(make_request(3.0, temperature=0.5))
    await gateway.close()
    record = settings.open_records().find("r-1")
    assert (record.model, record.version, record.release_digest) == ("double", "3-eager", "a1b2")
    again = rebuild_request(record)
    assert np.frombuffer(again.inputs[0].data, np.float32).tolist() == [3, 3]
    assert again.parameters.keys() == {"temperature", "seed"}
    assert read_answer(record)["y"].tolist() == [[6, 6]]
    assert answer.parameters == {}


async def test_only_a_share_is_kept_and_nothing_of_the_servers_own(variant, backend, tmp_path, monkeypatch):
    chances = iter([0.1, 0.9, 0.5, 0.49])
    monkeypatch.setattr("services.gateway.recorder.random.random", lambda: next(chances))
    settings = make_settings(tmp_path, record=0.5)
    gateway = Gateway(Catalogue([variant]), backend, settings)
    for _ in range(3):
        await gateway.infer(make_request())
    own = make_request()
    own.protocol = "self"
    await gateway.infer(own)
    await gateway.close()
    assert len(settings.open_records().names()) == 1
    assert gateway.metrics.registry.get_sample_value("millrace_records_total", {"outcome": "kept"}) == 1


async def test_no_request_waits_for_a_record(variant, backend, tmp_path, monkeypatch):
    monkeypatch.setattr("services.gateway.recorder.MOST_PENDING", 1)
    written = threading.Event()
    monkeypatch.setattr(RecordFolder, "write", lambda folder, record: written.wait(10))
    gateway = Gateway(Catalogue([variant]), backend, make_settings(tmp_path, record=1.0))
    for _ in range(3):
        await gateway.infer(make_request())
    written.set()
    await gateway.close()
    found = {
        outcome: gateway.metrics.registry.get_sample_value("millrace_records_total", {"outcome": outcome})
        for outcome in ("kept", "left_out")
    }
    assert found == {"kept": 1, "left_out": 2}


def test_a_seed_that_is_no_header_is_left_out_of_them():
    headers = make_headers({"variant": "int8", "seed": "7\r\nset-cookie: a=b"})
    assert headers == {"millrace-variant": "int8"}


def make_record(request_id="r-1", num_bytes=100):
    texts = {"moment": "2027-01-01T00:00:00+00:00", "caller": "phone", "model": "double", "version": "3-eager"}
    return Record(request_id=request_id, release_digest="a1b2", request=b"q" * num_bytes, answer=b"a", **texts)


def test_a_record_is_for_this_user_only_and_cannot_be_changed_or_exchanged(tmp_path):
    before = os.umask(0)
    try:
        key = read_key(tmp_path / "keys" / "records.key")
        folder = RecordFolder(tmp_path / "records", key, 10_000)
        folder.write(make_record())
        folder.write(make_record("r-2"))
    finally:
        os.umask(before)
    first, second = folder.names()
    for path, mode in ((folder.path, 0o700), (folder.path / first, 0o600), (tmp_path / "keys/records.key", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert b"phone" not in (folder.path / first).read_bytes()
    assert RecordFolder(folder.path, key, 10_000).find("r-2") == make_record("r-2")
    assert folder.find(first) == make_record()
    with pytest.raises(RecordError, match=r"no record of request 'r-3' in .*, which has 2 records"):
        folder.find("r-3")
    with pytest.raises(RecordError, match="encrypted with another key"):
        RecordFolder(folder.path, KEY, 10_000).read(first)
    (folder.path / first).replace(folder.path / second)
    with pytest.raises(RecordError, match="was changed"):
        folder.read(second)


def test_records_are_bounded_in_bytes_and_the_oldest_go_first(tmp_path):
    folder = RecordFolder(tmp_path, KEY, 2000)
    for number in range(10):
        folder.write(make_record(f"r-{number}", 500))
    kept = [folder.read(name).request_id for name in folder.names()]
    assert kept == [f"r-{number}" for number in range(10 - len(kept), 10)]
    assert len(kept) == 2
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000
    folder.write(make_record("large", 3000))
    again = RecordFolder(tmp_path, KEY, 1000)
    again.write(make_record("r-10", 500))
    assert [again.read(name).request_id for name in again.names()] == ["r-10"]


def test_processes_that_start_together_have_one_key(tmp_path, monkeypatch):
    path = tmp_path / "records.key"
    link = os.link

    def be_second(draft, target):
        target.write_bytes(KEY)
        target.chmod(0o600)
        link(draft, target)

    monkeypatch.setattr("services.gateway.records.os.link", be_second)
    assert read_key(path) == KEY
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_of_records_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "records.key"
    read_key(path)
    path.chmod(0o640)
    with pytest.raises(RecordError, match=f"others may read the key .* chmod 600 {path}"):
        read_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(RecordError, match="holds 5 bytes; a key of records has 32"):
        read_key(path)


async def test_a_replay_says_what_agrees_within_the_releases_tolerance(backend, tmp_path):
    golden = GoldenAnswer(inputs=("x", "weight"), output="y", expected=np.ones((3, 2), np.float32), tolerance=0.01)
    proven = make_variant(make_manifest(), tmp_path, golden, release_digest="a1b2")
    settings = make_settings(tmp_path, record=1.0)
    gateway = Gateway(Catalogue([proven]), backend, settings)
    await gateway.infer(make_request())
    await gateway.close()
    record = settings.open_records().find("r-1")

    async def differences(variant, factor):
        backend.factor = factor
        answer = await Gateway(Catalogue([variant]), backend, GatewaySettings()).infer(rebuild_request(record))
        found = {"y": np.frombuffer(answer.outputs[0].data, np.float32).reshape(1, 2)}
        return [(one.output, one.tolerance, one.difference) for one in judge(variant, record, found)]

    assert await differences(proven, 2.01) == [("y", 0.01, "")]
    ((_, _, words),) = await differences(proven, 2.1)
    assert words == "output 'y' deviates by 0.05 of its size from what was answered; 0.01 is allowed"
    old = make_variant(make_manifest(), tmp_path)  # from before there were golden rows: it must be equal
    assert await differences(old, 2) == [("y", 0.0, "")]
    assert (await differences(old, 2.01))[0][2] != ""
