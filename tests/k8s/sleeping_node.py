"""A node that sleeps instead of computing: the real gateway with its real ports, and an engine that takes no core.

python -m tests.k8s.sleeping_node --host 127.0.2.1 --http-port 8000 --grpc-port 8001 --ready-file PATH
"""

import argparse
import asyncio
import signal
from pathlib import Path

import numpy as np

from model_store.examples import write_examples
from model_store.manifest import Manifest
from model_store.open_inference import messages
from services.catalogue import Catalogue, ServedVariant
from services.gateway.caller import name_caller
from services.gateway.core import Gateway
from services.gateway.grpc import GrpcServer
from services.gateway.http_server import HttpServer, open_port
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from services.gateway.tls import Renewal
from services.grpc_server.connection import ALPN
from tests.k8s.fields import make_fields

RENEW_S = 0.2
SLOW_S = 1.0
MODEL = "classifier"


class SleepingBackend:
    """Answers each packed call after the same time, with the number of its release; SIGUSR1 makes that time longer."""

    def __init__(self, batch_s):
        self.batch_s = batch_s

    async def predict(self, variant, request):
        rows = messages().ModelInferRequest.FromString(request).inputs[0].shape[0]
        await asyncio.sleep(self.batch_s)
        answer = messages().ModelInferResponse(model_name=variant.model)
        answer.outputs.add(name="y", datatype="FP32", shape=[rows, 2])
        answer.raw_output_contents.append(np.full((rows, 2), variant.manifest.release, np.float32).tobytes())
        return answer.SerializeToString()

    def ready_workers(self, variant):
        return frozenset({1})

    def num_slots(self, variant):
        return 1


class NamingGateway(Gateway):
    """Prints who calls, each name once."""

    def __init__(self, *arguments):
        self._names = set()
        super().__init__(*arguments)

    async def infer(self, request):
        name = name_caller(request.caller)
        if name not in self._names:
            self._names.add(name)
            print(f"caller {name}", flush=True)
        return await super().infer(request)


async def run(arguments: argparse.Namespace) -> None:
    fields = make_fields(MODEL, arguments.release, "int8", "cpu", "") | {"max_rows": arguments.max_rows}
    manifest = Manifest.model_validate(fields)
    examples = arguments.ready_file.with_suffix(".npz")
    write_examples(examples, {"x": np.ones((1, 4), np.float32)})
    variant = ServedVariant(manifest=manifest, archive=Path("none"), examples=examples, is_default=True)
    settings = GatewaySettings(
        host=arguments.host,
        http_port=arguments.http_port,
        grpc_port=arguments.grpc_port,
        tls_cert=arguments.certificate,
        tls_key=arguments.certificate,
        tls_client_ca=arguments.authority,
        batches_per_worker=1,
        drain_delay_s=2.5,
        slow_factor=arguments.slow_factor,
        load_reports=True,
        trusted_edges=arguments.trusted_edges,
    )
    backend = SleepingBackend(arguments.batch_s)
    gateway = NamingGateway(Catalogue([variant]), backend, settings)
    contexts = [settings.make_tls_context(protocol) for protocol in ("http/1.1", ALPN)]
    http = HttpServer(make_app(gateway), open_port(settings.host, settings.http_port, "http_port"), contexts[0])
    grpc = GrpcServer(gateway, open_port(settings.host, settings.grpc_port, "grpc_port"), contexts[1])
    http.start()
    await grpc.start()
    assert await gateway.readiness.prove() == []
    grpc.update_health()
    keepers = [asyncio.create_task(renew(settings, contexts))]
    if gateway.slowness is not None:
        keepers.append(asyncio.create_task(gateway.slowness.watch()))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    for number, batch_s in ((signal.SIGUSR1, SLOW_S), (signal.SIGUSR2, arguments.batch_s)):
        loop.add_signal_handler(number, setattr, backend, "batch_s", batch_s)
    arguments.ready_file.touch()
    await stop.wait()
    gateway.is_draining = True
    grpc.update_health()
    await asyncio.sleep(settings.drain_delay_s)
    await asyncio.gather(grpc.stop(5), http.stop(5))
    for keeper in keepers:
        keeper.cancel()


async def renew(settings, contexts) -> None:
    """Take up certificates that are replaced, as `serve` does."""
    if settings.tls_files is None:
        return
    renewal = Renewal(settings.tls_files, contexts)
    while True:
        await asyncio.sleep(RENEW_S)
        renewal.refresh()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--certificate", type=Path, help="PEM certificate and key; TLS only")
    parser.add_argument("--authority", type=Path, help="PEM of who signs callers' certificates")
    parser.add_argument("--release", type=int, default=1)
    parser.add_argument("--batch-s", type=float, default=0.02)
    parser.add_argument("--trusted-edges", default="")
    parser.add_argument("--slow-factor", type=float, default=4)
    parser.add_argument("--max-rows", type=int, default=64)
    asyncio.run(run(parser.parse_args()))
