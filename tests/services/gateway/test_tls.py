"""TLS on both ports, with clients that check the certificate."""

import asyncio
import datetime
import socket
import ssl

import gevent.ssl
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tritonclient import grpc as triton_grpc
from tritonclient import http as triton_http

from services.catalogue import Catalogue
from services.gateway.core import Gateway
from services.gateway.grpc import GrpcServer
from services.gateway.http_server import HttpServer
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from services.gateway.tls import TlsError

ROWS = np.array([[1, 2], [3, 4]], np.float32)


def write_certificate(folder, name="server"):
    """Write a certificate for localhost, signed by its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password))
    return paths


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def ports(variant, backend, certificate):
    """REST's and gRPC's, of a gateway that speaks TLS."""
    settings = GatewaySettings(tls_cert=certificate[0], tls_key=certificate[1])
    gateway = Gateway(Catalogue([variant]), backend, settings)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    rest = HttpServer(make_app(gateway), listeners[0], settings.make_tls_context("http/1.1"))
    grpc = GrpcServer(gateway, listeners[1], settings.make_tls_context("h2"))
    rest.start()
    await grpc.start()
    yield rest.port, grpc.port
    await grpc.stop(0)
    await rest.stop(0)


def infer(triton, client):
    tensor = triton.InferInput("x", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS)
    with client:
        return client.infer("double", [tensor]).as_numpy("y").tolist()


async def test_tritonclient_infers_by_grpc(ports, certificate):
    def call():
        client = triton_grpc.InferenceServerClient(
            f"localhost:{ports[1]}", ssl=True, root_certificates=str(certificate[0])
        )
        return infer(triton_grpc, client)

    assert await asyncio.to_thread(call) == (2 * ROWS).tolist()


async def test_tritonclient_infers_by_rest(ports, certificate):
    def call():
        client = triton_http.InferenceServerClient(
            f"localhost:{ports[0]}",
            ssl=True,
            ssl_options={"ca_certs": str(certificate[0])},
            ssl_context_factory=gevent.ssl.create_default_context,
        )
        return infer(triton_http, client)

    assert await asyncio.to_thread(call) == (2 * ROWS).tolist()


@pytest.mark.parametrize(("port", "protocol"), [(0, "http/1.1"), (1, "h2")])
async def test_each_port_names_its_protocol(ports, certificate, port, protocol):
    context = ssl.create_default_context(cafile=certificate[0])
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("localhost", ports[port], ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == protocol
    writer.close()


async def test_a_caller_without_tls_gets_no_answer(ports):
    def call():
        return infer(triton_grpc, triton_grpc.InferenceServerClient(f"localhost:{ports[1]}"))

    with pytest.raises(Exception, match="UNAVAILABLE"):
        await asyncio.to_thread(call)


def test_says_what_is_wrong_with_the_files(tmp_path, certificate):
    other = write_certificate(tmp_path, "other")
    (tmp_path / "no.pem").write_text("no certificate")
    for files, words in (
        ({"tls_cert": certificate[0]}, "go together; one is missing"),
        ({"tls_key": certificate[1]}, "go together; one is missing"),
        ({"tls_cert": certificate[0], "tls_key": other[1]}, "mismatch"),
        ({"tls_cert": tmp_path / "gone.pem", "tls_key": other[1]}, "No such file or directory"),
        ({"tls_cert": tmp_path / "no.pem", "tls_key": other[1]}, "PEM"),
    ):
        with pytest.raises(TlsError, match=words):
            GatewaySettings(**files).make_tls_context("h2")


def test_settings_are_read_from_the_environment(monkeypatch, certificate):
    monkeypatch.setenv("MILLRACE_TLS_CERT", str(certificate[0]))
    monkeypatch.setenv("MILLRACE_TLS_KEY", str(certificate[1]))
    assert GatewaySettings().make_tls_context("h2") is not None
    assert GatewaySettings(tls_cert=None, tls_key=None).make_tls_context("h2") is None
