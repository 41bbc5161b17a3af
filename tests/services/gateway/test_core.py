import numpy as np
import pytest

from model_store.tensors import encode_raw
from services.catalogue import Catalogue
from services.gateway.core import Gateway
from services.gateway.errors import InvalidRequestError, UnknownModelError
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest, NamedTensor

BAD = 66.0


@pytest.fixture
async def gateway(variant, backend):
    backend.row_error = lambda row: b"unlucky" if row[0] == BAD else b""
    return Gateway(Catalogue([variant]), backend, GatewaySettings(max_split=4))


def count_of(gateway, outcome, model="double", version="3-eager", protocol="grpc"):
    labels = {"model": model, "version": version, "protocol": protocol, "outcome": outcome}
    return gateway.metrics.registry.get_sample_value("millrace_requests_total", labels)


def make_request(*values, **changes):
    array = np.array([[value, value] for value in values], np.float32)
    inputs = [NamedTensor("x", "FP32", array.shape, encode_raw(array))]
    return InferRequest(
        **{"model": "double", "version": "", "id": "id", "inputs": inputs, "protocol": "grpc", **changes}
    )


def first_column(answer, name="y"):
    tensor = next(tensor for tensor in answer.outputs if tensor.name == name)
    return np.frombuffer(tensor.data, np.float32).reshape(tensor.shape)[:, 0].tolist()


@pytest.mark.parametrize("version", ["", "3", "3-eager"])
async def test_finds_the_model_by_any_of_its_versions(gateway, version):
    answer = await gateway.infer(make_request(1, version=version))
    assert (answer.model, answer.version, answer.id, first_column(answer)) == ("double", "3-eager", "id", [2])


async def test_names_what_there_is_when_a_model_is_unknown(gateway):
    with pytest.raises(UnknownModelError, match="no model 'trouble'; this server has double"):
        await gateway.infer(make_request(1, model="trouble"))
    with pytest.raises(UnknownModelError, match="no version '4'; this server has 3-eager"):
        await gateway.infer(make_request(1, version="4"))


async def test_splits_and_joins_a_request_of_many_rows(gateway, backend):
    answer = await gateway.infer(make_request(*range(14)))
    assert first_column(answer) == [2 * value for value in range(14)]
    assert answer.outputs[0].shape == (14, 2)
    assert sorted(len(batch) for batch in backend.batches) == [2, 4, 4, 4]


async def test_refuses_more_rows_than_may_be_split(gateway):
    with pytest.raises(InvalidRequestError, match="has 17 rows; a request may have 1 to 16"):
        await gateway.infer(make_request(*range(17)))


async def test_a_row_that_fails_does_not_fail_its_neighbours_request(gateway, backend):
    import asyncio

    results = await asyncio.gather(
        gateway.infer(make_request(1)), gateway.infer(make_request(BAD)), return_exceptions=True
    )
    assert len(backend.batches) == 1
    assert first_column(results[0]) == [2]
    assert [tensor.name for tensor in results[0].outputs] == ["y"]
    assert (type(results[1]), str(results[1])) == (InvalidRequestError, "unlucky")


@pytest.mark.parametrize("values", [(1, BAD, 2), (1, 2, 3, 4, 5, BAD)])
async def test_names_failed_rows_or_gives_the_others_on_request(gateway, values):
    with pytest.raises(InvalidRequestError, match=rf"1 of {len(values)} rows failed: row {values.index(BAD)}: unlucky"):
        await gateway.infer(make_request(*values))
    answer = await gateway.infer(make_request(*values, outputs=("y", "row_errors")))
    assert first_column(answer)[0] == 2
    errors = answer.outputs[-1]
    assert (errors.name, errors.shape) == ("row_errors", (len(values),))
    assert bytes(errors.data) == b"".join(b"\x07\0\0\0unlucky" if value == BAD else bytes(4) for value in values)


async def test_is_not_ready_without_workers_or_while_draining(gateway, backend, variant):
    await gateway.readiness.prove()
    assert gateway.is_ready()
    backend.is_ready = False
    assert gateway.state_of(variant) == ("UNAVAILABLE", "its workers are starting or being restarted")
    assert not gateway.is_ready()
    backend.is_ready = True
    gateway.is_draining = True
    assert not gateway.is_ready()


async def test_counts_outcomes_by_protocol(gateway):
    await gateway.infer(make_request(1))
    for request in (make_request(np.nan), make_request(1, model="trouble"), make_request(np.nan, protocol="http")):
        with pytest.raises((InvalidRequestError, UnknownModelError)):
            await gateway.infer(request)
    assert [count_of(gateway, outcome) for outcome in ("ok", "invalid")] == [1, 1]
    assert count_of(gateway, "invalid", protocol="http") == 1
    assert count_of(gateway, "unknown_model", model="", version="") == 1


@pytest.fixture
def lines(monkeypatch):
    written = []
    monkeypatch.setattr("services.gateway.access_log.logger.info", lambda event, **fields: written.append(fields))
    return written


async def test_the_access_log_has_a_line_for_every_request(variant, backend, lines, clock):
    def take_a_quarter(rows):
        clock.now_s += 0.25

    backend.before_answer = take_a_quarter
    gateway = Gateway(Catalogue([variant]), backend, GatewaySettings(access_log=True, max_split=4))
    await gateway.infer(make_request(*range(6)))
    with pytest.raises(InvalidRequestError):
        await gateway.infer(make_request(np.inf, protocol="http", id="7"))
    with pytest.raises(UnknownModelError):
        await gateway.infer(make_request(1, model="trouble"))
    answered, invalid, unknown = lines
    # Two batches, one after the other: the times are those of the one that was answered last.
    assert [answered[name] for name in ("queue_ms", "compute_ms", "total_ms")] == [250, 250, 500]
    names = ("protocol", "model", "version", "outcome", "status", "rows", "request")
    assert [answered[name] for name in names] == ["grpc", "double", "3-eager", "ok", "OK", 6, "id"]
    assert [invalid[name] for name in names] == ["http", "double", "3-eager", "invalid", 400, 0, "7"]
    assert [unknown[name] for name in names] == ["grpc", "trouble", "", "unknown_model", "NOT_FOUND", 0, "id"]


async def test_the_access_log_is_off_unless_asked_for(gateway, lines):
    await gateway.infer(make_request(1))
    assert lines == []
