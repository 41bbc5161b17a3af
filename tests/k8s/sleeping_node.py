"""A node that sleeps instead of computing: the real gateway with its real ports, and an engine that takes no core.

python -m tests.k8s.sleeping_node --host 127.0.2.1 --http-port 8000 --grpc-port 8001 --ready-file PATH
"""

import argparse
import asyncio
import os
import signal
from pathlib import Path

import numpy as np

from model_store.examples import write_examples
from model_store.manifest import Manifest
from model_store.open_inference import messages
from services.catalogue import Catalogue, ServedVariant
from services.gateway.core import Gateway
from services.gateway.grpc import GrpcServer
from services.gateway.http_server import HttpServer, open_port
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from tests.k8s.fields import make_fields

BATCH_S = float(os.environ.get("SLEEPING_BATCH_S", "0.02"))
MODEL = "classifier"


class SleepingBackend:
    """Answers each packed call after the same time, with zeros."""

    async def predict(self, variant, request):
        rows = messages().ModelInferRequest.FromString(request).inputs[0].shape[0]
        await asyncio.sleep(BATCH_S)
        answer = messages().ModelInferResponse(model_name=variant.model)
        answer.outputs.add(name="y", datatype="FP32", shape=[rows, 2])
        answer.raw_output_contents.append(bytes(8 * rows))
        return answer.SerializeToString()

    def ready_workers(self, variant):
        return frozenset({1})

    def num_workers(self, variant):
        return 1


async def run(host: str, http_port: int, grpc_port: int, ready_file: Path) -> None:
    manifest = Manifest.model_validate(make_fields(MODEL, 1, "int8", "cpu", ""))
    examples = ready_file.with_suffix(".npz")
    write_examples(examples, {"x": np.ones((1, 4), np.float32)})
    variant = ServedVariant(manifest=manifest, archive=Path("none"), examples=examples, is_default=True)
    settings = GatewaySettings(host=host, http_port=http_port, grpc_port=grpc_port, drain_delay_s=2.5)
    gateway = Gateway(Catalogue([variant]), SleepingBackend(), settings)
    http = HttpServer(make_app(gateway), open_port(host, http_port, "http_port"))
    grpc = GrpcServer(gateway, open_port(host, grpc_port, "grpc_port"))
    http.start()
    await grpc.start()
    assert await gateway.readiness.prove() == []
    grpc.update_health()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    ready_file.touch()
    await stop.wait()
    gateway.is_draining = True
    grpc.update_health()
    await asyncio.sleep(settings.drain_delay_s)
    await asyncio.gather(grpc.stop(5), http.stop(5))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--ready-file", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.host, arguments.http_port, arguments.grpc_port, arguments.ready_file))
