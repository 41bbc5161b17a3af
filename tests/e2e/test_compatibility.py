"""Other people's clients, unmodified, against `simple` and its like; services/COMPATIBILITY.md says what to expect.

The examples of Triton's client lie in its repository: TRITON_EXAMPLES=…/src/python/examples names the folder. The
others are tried where they are given: perf_analyzer (PERF_ANALYZER, its command) and KServe's client (KSERVE_PYTHON, an
interpreter that has it).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from model_store.signing import Keyring
from model_store.store import Store
from tests.e2e.conftest import Released, Served
from tests.e2e.triton_models import release_triton_models

pytestmark = pytest.mark.slow

TABLE = Path(__file__).parents[2] / "services" / "COMPATIBILITY.md"
EXAMPLES = Path(os.environ.get("TRITON_EXAMPLES", "missing"))
EXAMPLE_S = 60.0
EXPECTED = dict(re.findall(r"^\| `(simple_(?:grpc|http)\w+)` \| (yes|no)\b", TABLE.read_text(), re.MULTILINE))
KSERVE = """
import asyncio, sys
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
import numpy as np

async def main(http, grpc):
    values = np.arange(16, dtype=np.int32).reshape(1, 16)
    def make():
        tensors = [InferInput(name=f"INPUT{i}", shape=[1, 16], datatype="INT32") for i in range(2)]
        for tensor in tensors:
            tensor.set_data_from_numpy(values, binary_data=BINARY)
        return InferRequest(model_name="simple", infer_inputs=tensors)
    for BINARY in (False, True):
        globals()["BINARY"] = BINARY
        rest = InferenceRESTClient(RESTConfig(protocol="v2"))
        assert await rest.is_server_live(f"http://{http}") and await rest.is_model_ready(f"http://{http}", "simple")
        answer = await rest.infer(f"http://{http}", make(), model_name="simple")
        assert answer.outputs[0].as_numpy().tolist() == (2 * values).tolist(), answer
    globals()["BINARY"] = True
    client = InferenceGRPCClient(grpc)
    assert await client.is_server_ready() and await client.is_model_ready("simple")
    answer = await client.infer(make())
    assert answer.outputs[1].as_numpy().tolist() == (0 * values).tolist(), answer
    print("PASS")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("triton")
    released = Released(folder / "store", folder / "keys")
    release_triton_models(Store(released.store, Keyring(released.keys)))
    served = Served(released, folder)
    yield served
    served.stop()


def run(command, timeout_s=EXAMPLE_S):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("example", EXPECTED)
def test_an_example_of_tritons_client_does_what_the_table_says(served, example):
    path = EXAMPLES / f"{example}.py"
    if not path.exists():
        pytest.skip("TRITON_EXAMPLES names no folder with the examples of triton-inference-server/client")
    status, said = run([sys.executable, str(path), "-u", served.grpc if "_grpc_" in example else served.http])
    # Some end with 0 where they could not connect or were refused: where one has a word for success, it must say it.
    passes = status == 0 and ("PASS" in said or "PASS" not in path.read_text())
    assert passes == (EXPECTED[example] == "yes"), said[-2000:]


def test_the_table_names_every_example():
    if not EXAMPLES.exists():
        pytest.skip("TRITON_EXAMPLES names no folder with the examples of triton-inference-server/client")
    assert {path.stem for path in EXAMPLES.glob("simple_*.py")} == set(EXPECTED)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_perf_analyzer_measures_and_reads_the_servers_times(served, protocol):
    if "PERF_ANALYZER" not in os.environ:
        pytest.skip("PERF_ANALYZER names no command; its binary needs glibc 2.38")
    url = served.grpc if protocol == "grpc" else served.http
    command = [*shlex.split(os.environ["PERF_ANALYZER"]), "-m", "simple", "-x", "1", "-i", protocol, "-u", url]
    status, said = run([*command, "--concurrency-range", "2", "-p", "1000", "-r", "3", "-s", "999"], 120)
    assert status == 0, said[-3000:]
    assert re.search(r"Throughput: [1-9]", said), said[-3000:]
    assert re.search(r"Inference count: [1-9]", said), said[-3000:]  # the server's own statistics


def test_kserves_client_infers(served, tmp_path):
    if "KSERVE_PYTHON" not in os.environ:
        pytest.skip("KSERVE_PYTHON names no interpreter that has kserve")
    script = tmp_path / "ask.py"
    script.write_text(KSERVE)
    status, said = run([os.environ["KSERVE_PYTHON"], str(script), served.http, served.grpc])
    assert (status, said.splitlines()[-1]) == (0, "PASS"), said[-3000:]


def test_a_client_that_knows_nothing_calls_by_reflection(served):
    """As grpcurl does: services, messages and their types all come from the server."""
    with grpc.insecure_channel(served.grpc) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) >= {"inference.GRPCInferenceService", "grpc.health.v1.Health"}
        file = database.FindFileContainingSymbol("inference.GRPCInferenceService")
        assert isinstance(file, descriptor_pb2.FileDescriptorProto)
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        method = pool.FindServiceByName("inference.GRPCInferenceService").FindMethodByName("ModelInfer")
        request = message_factory.GetMessageClass(method.input_type)(model_name="simple")
        for name in ("INPUT0", "INPUT1"):
            request.inputs.add(name=name, datatype="INT32", shape=[1, 16]).contents.int_contents.extend(range(16))
        call = channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            type(request).SerializeToString,
            message_factory.GetMessageClass(method.output_type).FromString,
        )
        sums = np.frombuffer(call(request).raw_output_contents[0], np.int32)
    assert sums.tolist() == [2 * value for value in range(16)]
