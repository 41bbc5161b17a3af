"""TLS on both ports, with clients that check the certificate."""

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import gevent.ssl
import httpx
import numpy as np
import pytest
import uvloop
from cryptography import x509
from tritonclient import grpc as triton_grpc
from tritonclient import http as triton_http

from model_store.example_call import describe_call
from model_store.examples import read_examples
from services.announcement import describe_trust
from services.catalogue import Catalogue
from services.gateway.caller import name_caller
from services.gateway.core import Gateway
from services.gateway.grpc import GrpcServer
from services.gateway.http_server import HttpServer
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from services.gateway.tls import PortContext, Renewal, TlsError, TlsFiles
from tests.certificates import write_certificate

ROWS = np.array([[1, 2], [3, 4]], np.float32)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("tls"))


@contextlib.asynccontextmanager
async def serving(variant, backend, settings):
    """REST's port, gRPC's, their contexts and the gateway."""
    gateway = Gateway(Catalogue([variant]), backend, settings)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    contexts = settings.make_tls_context("http/1.1"), settings.make_tls_context("h2")
    rest = HttpServer(make_app(gateway), listeners[0], contexts[0])
    grpc = GrpcServer(gateway, listeners[1], contexts[1])
    rest.start()
    await grpc.start()
    try:
        yield rest.port, grpc.port, contexts, gateway
    finally:
        await grpc.stop(0)
        await rest.stop(0)


@pytest.fixture
async def ports(variant, backend, certificate):
    """REST's and gRPC's, of a gateway that speaks TLS."""
    async with serving(variant, backend, GatewaySettings(tls_cert=certificate[0], tls_key=certificate[1])) as served:
        yield served[:2]


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


async def test_the_lines_that_a_server_by_tls_prints_can_be_typed(ports, certificate, variant):
    files = TlsFiles(certificate=certificate[0], key=certificate[1])
    host, options = describe_trust(files, "127.0.0.1")
    rest, grpc = (f"https://{host}:{port}" for port in ports)
    lines = describe_call(variant.manifest, read_examples(variant.examples), rest=rest, grpc=grpc, **options).lines
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in lines:
        done = await asyncio.to_thread(
            subprocess.run, line, shell=True, env=os.environ | {"PATH": path}, capture_output=True, text=True
        )
        assert (done.returncode, "2" in done.stdout) == (0, True), f"{line}\n{done.stdout}{done.stderr}"
    assert [line.split()[0] for line in lines] == ["curl", "infer"]


def test_callers_are_told_to_show_a_certificate_where_they_are_asked_for_one(certificate, tmp_path):
    signed = write_certificate(tmp_path, "signed", "gateway", certificate)
    files = TlsFiles(certificate=signed[0], key=signed[1], client_authorities=certificate[0])
    assert describe_trust(files, "localhost") == (
        "localhost",
        {
            "curl_options": "--cert YOURS.crt --key YOURS.key",
            "infer_options": "--tls-cert YOURS.crt --tls-key YOURS.key",
        },
    )


async def test_a_caller_without_tls_gets_no_answer(ports):
    def call():
        return infer(triton_grpc, triton_grpc.InferenceServerClient(f"localhost:{ports[1]}"))

    with pytest.raises(Exception, match="UNAVAILABLE"):
        await asyncio.to_thread(call)


def test_says_what_is_wrong_with_the_files(tmp_path, certificate):
    other = write_certificate(tmp_path, "other")
    (tmp_path / "no.pem").write_text("no certificate")
    for files, words in (
        ({"tls_cert": certificate[0]}, "go together"),
        ({"tls_key": certificate[1]}, "go together"),
        ({"tls_client_ca": certificate[0]}, "--tls-client-ca needs both; one is missing"),
        (
            {"tls_cert": certificate[0], "tls_key": certificate[1], "tls_client_ca": tmp_path / "no.pem"},
            "--tls-client-ca takes PEM certificates",
        ),
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


async def read_serial(port):
    """The serial number of the certificate that a port shows to new connections."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    encoded = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.close()
    return x509.load_der_x509_certificate(encoded).serial_number


def serial_of(path):
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def test_a_renewed_certificate_is_shown_and_open_connections_go_on(variant, backend, tmp_path):
    certificate, key = write_certificate(tmp_path)
    settings = GatewaySettings(tls_cert=certificate, tls_key=key)
    async with serving(variant, backend, settings) as (rest, grpc_port, contexts, _):
        renewal = Renewal(settings.tls_files, contexts)
        trusted = ssl.create_default_context(cafile=certificate)
        async with httpx.AsyncClient(base_url=f"https://localhost:{rest}", verify=trusted) as client:
            assert (await client.get("/v2/health/live")).status_code == 200
            assert renewal.refresh() is False
            first = serial_of(certificate)
            new = write_certificate(tmp_path, "new")
            new[0].replace(certificate)
            assert renewal.refresh() is False  # its key is still the old one's
            assert await read_serial(rest) == first
            new[1].replace(key)
            assert renewal.refresh() is True
            second = serial_of(certificate)
            assert [await read_serial(rest), await read_serial(grpc_port)] == [second, second]
            assert second != first
            # A new connection would not be trusted: this is the old one.
            assert (await client.get("/v2/health/live")).status_code == 200


@pytest.fixture
async def guarded(variant, backend, certificate):
    """A gateway whose callers need a certificate signed by its own."""
    files = {"tls_cert": certificate[0], "tls_key": certificate[1], "tls_client_ca": certificate[0]}
    async with serving(variant, backend, GatewaySettings(**files)) as served:
        yield served


async def test_a_certificate_lets_its_owner_in_by_both_doors(guarded, certificate, tmp_path, monkeypatch):
    rest, grpc_port, _, gateway = guarded
    files = write_certificate(tmp_path, "phone", "phone, inc", certificate)
    callers = []
    infer_as_before = gateway.infer

    async def spy(request):
        callers.append(name_caller(request.caller))
        return await infer_as_before(request)

    monkeypatch.setattr(gateway, "infer", spy)
    context = ssl.create_default_context(cafile=certificate[0])
    context.load_cert_chain(*files)
    async with httpx.AsyncClient(base_url=f"https://localhost:{rest}", verify=context) as client:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": ROWS.tolist()}]}
        answer = await client.post("/v2/models/double/infer", json=body)
        assert answer.json()["outputs"][0]["data"] == (2 * ROWS).ravel().tolist()
        assert (await client.post("/v2/repository/models/double/load")).status_code == 403
        # A token for who stands in front: this server has no keys that it could be.
        assert (await client.get("/v2/models/double", headers={"authorization": "Bearer a.b.c"})).status_code == 200

    def call():
        client = triton_grpc.InferenceServerClient(
            f"localhost:{grpc_port}",
            ssl=True,
            root_certificates=str(certificate[0]),
            certificate_chain=str(files[0]),
            private_key=str(files[1]),
        )
        return infer(triton_grpc, client)

    assert await asyncio.to_thread(call) == (2 * ROWS).tolist()
    assert callers == ["CN=phone\\, inc"] * 2


async def test_without_a_certificate_only_probes_are_answered(guarded, certificate):
    context = ssl.create_default_context(cafile=certificate[0])
    async with httpx.AsyncClient(base_url=f"https://localhost:{guarded[0]}", verify=context) as client:
        assert (await client.get("/v2/health/live")).status_code == 200
        refused = await client.get("/v2")
        assert (refused.status_code, "asks for a client certificate" in refused.text) == (401, True)


async def test_a_certificate_of_a_stranger_is_refused(guarded, certificate, tmp_path):
    context = ssl.create_default_context(cafile=certificate[0])
    context.load_cert_chain(*write_certificate(tmp_path, "stranger", "phone"))
    async with httpx.AsyncClient(base_url=f"https://localhost:{guarded[0]}", verify=context) as client:
        with pytest.raises((httpx.HTTPError, ssl.SSLError)):
            await client.get("/v2/health/live")


async def ask_ready(port, certificate, *shown):
    """The status that a caller gets which shows a certificate, None where the connection is refused."""
    context = ssl.create_default_context(cafile=certificate[0])
    context.load_cert_chain(*shown)
    async with httpx.AsyncClient(base_url=f"https://localhost:{port}", verify=context) as client:
        try:
            return (await client.get("/v2")).status_code
        except (httpx.HTTPError, ssl.SSLError):
            return None


async def test_an_authority_that_is_withdrawn_lets_nobody_in_any_more(variant, backend, certificate, tmp_path):
    mine, theirs = (write_certificate(tmp_path, name, name) for name in ("mine", "theirs"))
    shown = [write_certificate(tmp_path, f"phone{number}", "phone", by) for number, by in enumerate((mine, theirs))]
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(mine[0].read_bytes() + theirs[0].read_bytes())
    settings = GatewaySettings(tls_cert=certificate[0], tls_key=certificate[1], tls_client_ca=authorities)
    async with serving(variant, backend, settings) as (rest, _, contexts, _):
        renewal = Renewal(settings.tls_files, contexts)
        assert [await ask_ready(rest, certificate, *files) for files in shown] == [200, 200]
        authorities.write_bytes(mine[0].read_bytes())
        assert renewal.refresh() is True
        assert [await ask_ready(rest, certificate, *files) for files in shown] == [200, None]


@pytest.mark.parametrize("how", ["unreadable", "replaced meanwhile"])
async def test_ports_never_show_different_certificates(variant, backend, tmp_path, monkeypatch, how):
    certificate, key = write_certificate(tmp_path)
    settings = GatewaySettings(tls_cert=certificate, tls_key=key)
    async with serving(variant, backend, settings) as (rest, grpc_port, contexts, _):
        renewal = Renewal(settings.tls_files, contexts)
        first, new, newer = serial_of(certificate), *(write_certificate(tmp_path, name) for name in ("new", "newer"))
        load = TlsFiles.load_context

        def load_slowly(files, protocol):
            if protocol == "h2" and how == "unreadable":
                raise TlsError("gone")
            if protocol == "h2":
                certificate.write_bytes(newer[0].read_bytes())
                key.write_bytes(newer[1].read_bytes())
            return load(files, protocol)

        certificate.write_bytes(new[0].read_bytes())
        key.write_bytes(new[1].read_bytes())
        with monkeypatch.context() as patch:
            patch.setattr(TlsFiles, "load_context", load_slowly)
            assert renewal.refresh() is False
        assert [await read_serial(port) for port in (rest, grpc_port)] == [first] * 2
        if how == "replaced meanwhile":
            assert renewal.refresh() is True
            assert [await read_serial(port) for port in (rest, grpc_port)] == [serial_of(newer[0])] * 2


def test_uvloop_too_gives_each_connection_the_newest_context(certificate, tmp_path):
    async def show():
        context = PortContext.open(TlsFiles(certificate=certificate[0], key=certificate[1]), "h2")
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        serials = [await read_serial(port)]
        context.newest = TlsFiles(certificate=new[0], key=new[1]).load_context("h2")
        serials.append(await read_serial(port))
        server.close()
        return serials

    new = write_certificate(tmp_path, "new")
    assert uvloop.run(show()) == [serial_of(certificate[0]), serial_of(new[0])]
