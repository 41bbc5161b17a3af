"""Statistics and configuration in Triton's shape, as tritonclient's own messages read them."""

import asyncio
import json
import math
import time

import httpx
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from model_store.open_inference import messages
from services.catalogue import Catalogue
from services.gateway.core import Gateway
from services.gateway.errors import InvalidRequestError
from services.gateway.grpc import OpenInferenceService
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from services.gateway.statistics import Statistics
from services.gateway.tensors import InferRequest, NamedTensor
from services.grpc_server import CallContext
from tests.services.gateway.conftest import make_manifest, make_variant

SECOND_NS = 10**9


@pytest.fixture
async def http(gateway):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(gateway)), base_url="http://here") as client:
        yield client


async def call(gateway, method, message):
    context = CallContext("127.0.0.1:1", (), {}, str)
    name = f"/inference.GRPCInferenceService/{method}"
    return await OpenInferenceService(gateway).methods()[name].answer(message.SerializeToString(), context)


def make_request(num_rows, value=1.0):
    data = np.full((num_rows, 2), value, np.float32).tobytes()
    return InferRequest("double", "", "", [NamedTensor("x", "FP32", (num_rows, 2), data)])


def test_each_request_counts_the_whole_time_of_its_call():
    statistics = Statistics()
    statistics.count_success(3, 0.5)
    statistics.count_success(1, 0.25)
    statistics.count_failure(2.0)
    statistics.count_call(4, 2, queue_s=0.1, input_s=0.01, infer_s=0.2, output_s=0.02)
    statistics.count_call(4, 1, queue_s=0.1, input_s=0.01, infer_s=0.2, output_s=0.02)
    described = statistics.describe("net", "1-int8")
    assert described["inference_stats"] == {
        "success": {"count": 2, "ns": 0.75 * SECOND_NS},
        "fail": {"count": 1, "ns": 2 * SECOND_NS},
        "queue": {"count": 3, "ns": 0.2 * SECOND_NS},
        "compute_input": {"count": 3, "ns": 0.03 * SECOND_NS},
        "compute_infer": {"count": 3, "ns": 0.6 * SECOND_NS},
        "compute_output": {"count": 3, "ns": 0.06 * SECOND_NS},
        "cache_hit": {"count": 0, "ns": 0},
        "cache_miss": {"count": 0, "ns": 0},
    }
    assert (described["inference_count"], described["execution_count"]) == (4, 2)
    assert described["batch_stats"] == [
        {
            "batch_size": 4,
            "compute_input": {"count": 2, "ns": 0.02 * SECOND_NS},
            "compute_infer": {"count": 2, "ns": 0.4 * SECOND_NS},
            "compute_output": {"count": 2, "ns": 0.04 * SECOND_NS},
        }
    ]


async def test_statistics_count_rows_calls_and_failures(gateway, http):
    before_ms = 1e3 * time.time()
    await asyncio.gather(gateway.infer(make_request(1)), gateway.infer(make_request(2)))
    with pytest.raises(InvalidRequestError):
        await gateway.infer(make_request(1, value=math.inf))
    data = await call(gateway, "ModelStatistics", messages().ModelStatisticsRequest(name="double"))
    response = service_pb2.ModelStatisticsResponse.FromString(data)
    (stats,) = response.model_stats
    assert (stats.name, stats.version) == ("double", "3-eager")
    assert (stats.inference_count, stats.execution_count) == (3, 1)
    counts = stats.inference_stats
    assert (counts.success.count, counts.fail.count, counts.queue.count) == (2, 1, 2)
    assert [(batch.batch_size, batch.compute_infer.count) for batch in stats.batch_stats] == [(3, 1)]
    assert counts.success.ns >= counts.queue.ns + counts.compute_infer.ns > 0
    assert before_ms - 1 <= stats.last_inference <= 1e3 * time.time() + 1
    for path in ("double/stats", "stats", "double/versions/3-eager/stats"):
        (same,) = (await http.get(f"/v2/models/{path}")).json()["model_stats"]
        assert same["inference_stats"]["compute_infer"]["ns"] == counts.compute_infer.ns
    (named,) = (await http.get("/v2/models/double/versions/3/stats")).json()["model_stats"]
    assert (named["version"], named["inference_count"]) == ("3", 3)
    assert (await http.get("/v2/models/none/stats")).status_code == 404


async def test_configuration_leaves_out_rows_and_names_datatypes_as_triton_does(gateway, http):
    config = (await http.get("/v2/models/double/config")).json()
    assert [
        (tensor["name"], tensor["data_type"], tensor["dims"], tensor["optional"]) for tensor in config["input"]
    ] == [
        ("x", "TYPE_FP32", [2], True),  # a text may take its place
        ("text", "TYPE_STRING", [], True),
        ("weight", "TYPE_FP32", [], True),
    ]
    assert (config["max_batch_size"], config["instance_group"][0]["count"]) == (4, 1)
    data = await call(gateway, "ModelConfig", messages().ModelConfigRequest(name="double", version="3"))
    parsed = service_pb2.ModelConfigResponse.FromString(data).config
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in parsed.output] == [
        ("y", 11, [2]),
        ("label", 13, []),
    ]
    assert parsed.HasField("dynamic_batching")
    assert parsed.parameters["max_rows"].string_value == "4"
    assert json.loads((await http.get("/v2")).content)["extensions"][1:3] == ["model_configuration", "statistics"]


@pytest.mark.parametrize("streams", [False, True])
async def test_configuration_says_whether_one_request_may_have_several_answers(backend, tmp_path, streams):
    variant = make_variant(make_manifest(streams=streams), tmp_path)
    gateway = Gateway(Catalogue([variant]), backend, GatewaySettings())
    assert gateway.describe_config("double")["model_transaction_policy"] == {"decoupled": streams}
    data = await call(gateway, "ModelConfig", messages().ModelConfigRequest(name="double"))
    assert service_pb2.ModelConfigResponse.FromString(data).config.model_transaction_policy.decoupled is streams


def test_our_messages_are_a_part_of_tritons():
    """Every field that both know has the same number and type."""
    for name in ("ModelStatisticsResponse", "ModelConfigResponse"):
        pending = [(getattr(messages(), name).DESCRIPTOR, getattr(service_pb2, name).DESCRIPTOR)]
        while pending:
            ours, theirs = pending.pop()
            for field in ours.fields:
                other = theirs.fields_by_name[field.name]
                assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated), (
                    field.full_name
                )
                if field.message_type is not None:
                    pending.append((field.message_type, other.message_type))
                if field.enum_type is not None:
                    known = {value.name: value.number for value in other.enum_type.values}
                    assert {value.name: known[value.name] for value in field.enum_type.values} == {
                        value.name: value.number for value in field.enum_type.values
                    }
