"""What protection costs: keys, TLS and a sample of traces, against a server without any of them, side by side."""

from __future__ import annotations

import contextlib
import datetime
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rich.console import Console

from loadtests.bench import tiny_program
from loadtests.bench.front_door import CALLERS, FrontDoorError, release_tiny, serve_ours
from loadtests.bench.h2load import run_h2load
from loadtests.bench.ratio import measure_ratio, print_bar
from model_store.open_inference import INFER_PATH
from services.client import Client, ClientError, Tls

# Of the throughput without any of it.
BAR_ALL = 0.75
CHECK_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Side:
    """A server's options, and how it is called."""

    name: str
    options: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    scheme: str = "http"
    key: str = ""


def compare_protection(*, repeats: int, measure_s: float, console: Console) -> bool:
    """Measure keys, TLS, and both with traces in turn with a server that has none; return whether the bar is reached.

    Raises:
        FrontDoorError: a side did not start or answered wrongly.
        CeilingError: h2load is missing, or its calls failed.
    """
    with release_tiny(console) as (folder, body), contextlib.ExitStack() as opened:
        certificate, key_file = write_certificate(folder)
        keys, key = _make_key(folder)
        collector = opened.enter_context(_collect_traces())
        with_key = ("--api-keys", str(keys))
        with_tls = ("--tls-cert", str(certificate), "--tls-key", str(key_file))
        with_traces = {"trace_endpoint": collector}
        plain = opened.enter_context(serve_ours(folder))
        value = 0.0
        for side in (
            Side(name="keys", options=with_key, key=key),
            Side(name="TLS", options=with_tls, scheme="https"),
            Side(
                name="keys, TLS and traces",
                options=(*with_key, *with_tls),
                settings=with_traces,
                scheme="https",
                key=key,
            ),
        ):
            with serve_ours(folder, side.options, side.settings, side.name) as address:
                check_answer(side, address, certificate)
                found = measure_ratio(
                    side.name,
                    lambda side=side, address=address: _measure(side, address, body, measure_s),  # type: ignore[misc]
                    "without",
                    lambda: _measure(Side(name="without"), plain, body, measure_s),
                    unit="requests/s",
                    repeats=repeats,
                    console=console,
                )
            console.print(f"{CALLERS} callers: {found}")
            value = found.value
    return print_bar(console, "throughput with all of it", value, BAR_ALL, unit="×")


def check_answer(side: Side, address: str, certificate: Path) -> None:
    """Ask a side once, since h2load takes refusals for answers.

    Raises:
        FrontDoorError: it refuses or does not answer.
    """
    target = f"localhost:{address.rpartition(':')[2]}"
    tls = Tls(ca=certificate if side.scheme == "https" else None)
    inputs = {"input": np.zeros((1, tiny_program.NUM_INPUTS), np.float32)}
    try:
        with Client(target, timeout_s=CHECK_S, api_key=side.key, tls=tls) as client:
            client.infer("tiny", inputs)
    except ClientError as error:
        raise FrontDoorError(f"the server with {side.name} does not answer: {error}") from error


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for localhost, signed by its own key, and the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return paths


def _measure(side: Side, address: str, body: Path, measure_s: float) -> float:
    return run_h2load(
        address, INFER_PATH, body, callers=CALLERS, duration_s=measure_s, scheme=side.scheme, key=side.key
    ).requests_per_s


def _make_key(folder: Path) -> tuple[Path, str]:
    """Have `serve keys` make a key: this room does not import the gateway."""
    path = folder / "api_keys.json"
    command = [str(Path(sys.executable).with_name("serve")), "keys", "add", "bench", "--file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FrontDoorError(f"no key was made:\n{done.stderr}")
    return path, done.stdout.strip()


@contextlib.contextmanager
def _collect_traces() -> Iterator[str]:
    """Take traces as a collector does, and forget them."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Collector(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
