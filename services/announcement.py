"""What `serve` says once everything is ready: where it answers, what it holds, what it left out, and calls to try."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from host.replacement import replacing
from model_store.example_call import describe_call
from model_store.examples import read_examples
from services.gateway.tls import TlsFiles, read_certificate

if TYPE_CHECKING:
    from services.catalogue import Catalogue
    from services.gateway.settings import GatewaySettings
    from services.serving import Serving


def describe_ready(serving: Serving, catalogue: Catalogue, gateway: GatewaySettings, ready_s: float) -> Iterator[str]:
    """Say all of it, line by line; it took `ready_s` seconds."""
    yield f"ready after {ready_s:.1f} s: {', '.join(map(str, catalogue.variants))}"
    for served in catalogue.variants:
        state, why = serving.gateway.state_of(served)
        if state != "READY":
            yield f"  NOT READY {served}: {why}"
    for (model, version), why in catalogue.left_out.items():
        yield f"  left out {model} {version}: {why}"
    host, options = _choose_address(gateway)
    yield from _describe_doors(serving.ports, gateway, host)
    yield from _describe_memory(serving)
    yield from _suggest_calls(serving.ports, catalogue, gateway, host, options)
    yield "Ctrl-C stops it"


def write_ready_file(path: Path, gateway: GatewaySettings, ports: Mapping[str, int], ready_s: float) -> None:
    """Write for other programs where it answers, and which process it is."""
    host, _ = _choose_address(gateway)
    ready = {"host": host, "ports": ports, "pid": os.getpid(), "ready_s": round(ready_s, 2)}
    with replacing(path) as file:
        file.write(json.dumps(ready).encode())


def choose_host_to_type(gateway: GatewaySettings) -> str:
    """Choose what a person on this machine types for the host."""
    return "localhost" if gateway.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else gateway.host


def describe_trust(files: TlsFiles, host: str) -> tuple[str, dict[str, str]]:
    """Choose a host that the certificate has, and the options by which callers here trust it and show their own."""
    certificate = read_certificate(files.certificate)
    if host not in certificate.names:
        host = next((name for name in certificate.names if "*" not in name), host)
    curl, infer = [], []
    if certificate.is_self_signed:
        curl.append(f"--cacert {shlex.quote(str(files.certificate))}")
        infer.append(f"--tls-ca {shlex.quote(str(files.certificate))}")
    if files.client_authorities is not None:
        curl.append("--cert YOURS.crt --key YOURS.key")
        infer.append("--tls-cert YOURS.crt --tls-key YOURS.key")
    return host, {"curl_options": " ".join(curl), "infer_options": " ".join(infer)}


def _choose_address(gateway: GatewaySettings) -> tuple[str, dict[str, str]]:
    """Choose the host that callers here type, and the options that they need."""
    host = choose_host_to_type(gateway)
    if gateway.tls_files is None:
        return host, {"curl_options": "", "infer_options": ""}
    return describe_trust(gateway.tls_files, host)


def _describe_doors(ports: Mapping[str, int], gateway: GatewaySettings, host: str) -> Iterator[str]:
    scheme, by_tls = ("http", "") if gateway.tls_cert is None else ("https", "  (TLS)")
    yield f"  REST     {scheme}://{host}:{ports['http']}  (documentation: /docs)"
    yield f"  gRPC     {host}:{ports['grpc']}{by_tls}"
    if gateway.gateways > 1:
        yield f"  gateways {gateway.gateways} processes, over which new connections are spread"
    if gateway.api_keys is not None:
        yield "  keys     callers send x-api-key: KEY; `infer` and `loadtest` take it from MILLRACE_API_KEY"
    yield f"  metrics  http://{host}:{ports['metrics']}/metrics"


def _describe_memory(serving: Serving) -> Iterator[str]:
    memory = serving.measure_memory()
    for name, workers in memory.workers.items():
        yield f"  memory   {name}: {' + '.join(f'{size / 2**20:.0f}' for size in workers)} MiB"
    what = "in all; what processes share is counted once" if memory.workers else "without the engine"
    yield f"  memory   {memory.total / 2**20:.0f} MiB {what}"


def _suggest_calls(
    ports: Mapping[str, int], catalogue: Catalogue, gateway: GatewaySettings, host: str, options: dict[str, str]
) -> Iterator[str]:
    before = "" if gateway.tls_cert is None else "https://"
    rest, grpc = (f"{before}{host}:{ports[door]}" for door in ("http", "grpc"))
    for model in catalogue.models:
        variant = catalogue.find(model)
        if variant is not None:
            examples = read_examples(variant.examples)
            for line in describe_call(variant.manifest, examples, rest=rest, grpc=grpc, **options).lines:
                yield f"  try      {line}"
