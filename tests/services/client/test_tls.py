"""A client that speaks TLS: whom it trusts, whom it shows to be, and what it says when that goes wrong."""

import grpc
import numpy as np
import pytest
from typer.testing import CliRunner

from services.client import AsyncClient, Client, NotReadyError, Tls
from services.client.cli import make_app
from tests.certificates import write_certificate
from tests.services.client.open_inference_server import run_server

ROWS = np.ones((1, 4), np.float32)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def phone(certificate, tmp_path_factory):
    """A caller's certificate and key, signed by the server's."""
    return write_certificate(tmp_path_factory.mktemp("phone"), "phone", "phone", certificate)


def serve(certificate, *, asks_for_certificates=False):
    pair = (certificate[1].read_bytes(), certificate[0].read_bytes())
    ca = certificate[0].read_bytes() if asks_for_certificates else None
    return run_server(grpc.ssl_server_credentials([pair], ca, asks_for_certificates))


@pytest.fixture(scope="module")
def port(certificate):
    with serve(certificate) as fake:
        yield fake.port


def double(url, **options):
    with Client(url, timeout_s=10, **options) as client:
        return client.infer("double", {"x": ROWS})["y"].tolist()


@pytest.mark.parametrize("scheme", ["", "https://"])
def test_trusts_the_authorities_that_it_is_given(port, certificate, scheme):
    assert double(f"{scheme}localhost:{port}", tls=Tls(ca=certificate[0])) == [[2] * 4]


def test_calls_an_address_by_the_name_in_its_certificate(port, certificate):
    assert double(f"127.0.0.1:{port}", tls=Tls(ca=certificate[0]), host="localhost") == [[2] * 4]
    with pytest.raises(NotReadyError, match="a certificate for another host"):
        double(f"localhost:{port}", tls=Tls(ca=certificate[0]), host="models.example.com")


async def test_the_asynchronous_client_does_so_too(port, certificate):
    async with AsyncClient(f"localhost:{port}", tls=Tls(ca=certificate[0])) as client:
        assert (await client.infer("double", {"x": ROWS}))["y"].tolist() == [[2] * 4]


def test_shows_a_certificate_of_its_own(certificate, phone):
    with serve(certificate, asks_for_certificates=True) as fake:
        url = f"localhost:{fake.port}"
        assert double(url, tls=Tls(ca=certificate[0], certificate=phone[0], key=phone[1])) == [[2] * 4]
        with pytest.raises(NotReadyError, match="where it asks for certificates, give --tls-cert and --tls-key"):
            double(url, tls=Tls(ca=certificate[0]))


def test_says_why_a_connection_failed(port, certificate, phone):
    trusting = Tls(ca=certificate[0])
    for url, tls, words in (
        (f"localhost:{port}", Tls(ca=phone[0]), "of no authority that is trusted; give the authority's PEM file"),
        (f"https://localhost:{port}", Tls(), "of no authority that is trusted; give the authority's PEM file"),
        (f"127.0.0.1:{port}", trusting, "shows a certificate for another host; call it by a name that the certificate"),
        (f"localhost:{port}", Tls(), "where it speaks TLS, write https:// before the address or give --tls-ca"),
        ("localhost:1", trusting, "nothing answers at localhost:1"),
    ):
        with pytest.raises(NotReadyError, match=words):
            double(url, tls=tls)
    with run_server() as fake, pytest.raises(NotReadyError, match="speaks no TLS; leave out https://"):
        double(f"localhost:{fake.port}", tls=trusting)


def test_a_certificate_needs_its_key(certificate):
    with pytest.raises(ValueError, match="--tls-cert and --tls-key show who calls together"):
        Tls(certificate=certificate[0])


@pytest.mark.parametrize("by_environment", [True, False])
def test_infer_finds_the_kind_and_answers_by_tls(certificate, phone, tmp_path, monkeypatch, by_environment):
    (tmp_path / "a.png").write_bytes(b"image")
    with serve(certificate, asks_for_certificates=True) as fake:
        options = {
            ("--url", "MILLRACE_URL"): f"https://localhost:{fake.port}",
            ("--tls-ca", "MILLRACE_TLS_CA"): str(certificate[0]),
            ("--tls-cert", "MILLRACE_TLS_CLIENT_CERT"): str(phone[0]),
            ("--tls-key", "MILLRACE_TLS_CLIENT_KEY"): str(phone[1]),
        }
        arguments = ["shoes", str(tmp_path / "a.png"), "--json"]
        for (option, variable), value in options.items():
            if by_environment:
                monkeypatch.setenv(variable, value)
            else:
                arguments += [option, value]
        result = CliRunner().invoke(make_app(arguments), arguments)
    assert result.exit_code == 0, result.output
    assert '"label"' in result.output
