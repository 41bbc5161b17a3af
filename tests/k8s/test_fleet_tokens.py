"""An edge that asks for signed tokens, and copies calls to a node whose answers nobody reads."""

import base64
import itertools
import json
import time

import grpc
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from host.ports import find_free_ports
from k8s.fleet.callers import Tokens
from k8s.fleet.envoy import Edge
from k8s.fleet.network import Loopback
from k8s.fleet.processes import Fleet
from tests.k8s.fleets import call, open_channel, sleeping_node, wait_for_edge

ISSUER = "https://issuer.example.com"
HOUR_S = 3600
CALLED_S = 10


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs tokens (ES256) and has its public key in a file."""

    def __init__(self, path):
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        point = {name: encode(value.to_bytes(32, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}
        path.write_text(json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1", **point}]}))

    def sign(self, **claims):
        body = {"iss": ISSUER, "aud": "millrace", "sub": "web", "exp": int(time.time()) + HOUR_S} | claims
        parts = ({"alg": "ES256", "kid": "1"}, {name: value for name, value in body.items() if value is not None})
        text = ".".join(encode(json.dumps(part).encode()) for part in parts)
        r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("issuer")
    issuer = Issuer(folder / "keys.json")
    issuer.tokens = Tokens(issuer=ISSUER, key_set=folder / "keys.json", audiences=["millrace"])
    issuer.other = Issuer(folder / "others.json")
    return issuer


@pytest.fixture(scope="module")
def fleet(issuer, tmp_path_factory):
    node, mirror = itertools.islice(Loopback("127.0.88").addresses(), 2)
    port, admin_port = find_free_ports(2)
    edge = Edge(
        nodes=[node], port=port, admin_port=admin_port, tokens=issuer.tokens, mirror=[mirror], mirror_percent=100
    )
    trusting = sleeping_node(trusted_edges="127.0.0.1")
    with Fleet(edge, trusting, tmp_path_factory.mktemp("fleet"), mirror=sleeping_node(release=2)) as running:
        wait_for_edge(edge)
        yield running


def names_at(fleet, node):
    return {line for line in fleet.read_log(node).splitlines() if line.startswith("caller") and line != "caller "}


async def call_with(fleet, token, **headers):
    async with open_channel(fleet.edge) as channel:
        return await call(channel, authorization=f"Bearer {token}", **headers)


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"exp": 1_000_000_000}, grpc.StatusCode.UNAUTHENTICATED),
        ({"exp": None}, grpc.StatusCode.UNAUTHENTICATED),
        ({"iss": "https://another.example.com"}, grpc.StatusCode.UNAUTHENTICATED),
        ({"aud": "another"}, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_a_token_that_is_not_meant_for_here_and_now_reaches_no_node(fleet, issuer, claims, status):
    before = names_at(fleet, fleet.edge.nodes[0])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call_with(fleet, issuer.sign(sub="intruder", **claims))
    assert refused.value.code() == status
    assert names_at(fleet, fleet.edge.nodes[0]) == before


async def test_a_token_of_another_key_reaches_no_node(fleet, issuer):
    for token in (issuer.other.sign(), "", "nothing"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call_with(fleet, token)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_nodes_know_a_caller_by_the_subject_of_its_token_only(fleet, issuer):
    assert await call_with(fleet, issuer.sign(), x_client="admin") == 1
    await call_with(fleet, issuer.sign(sub=None), x_client="admin")
    assert names_at(fleet, fleet.edge.nodes[0]) == {"caller edge:web", "caller 127.0.0.1"}


async def test_copies_reach_the_mirror_and_its_answers_reach_nobody(fleet, issuer):
    assert {await call_with(fleet, issuer.sign()) for _ in range(5)} == {1}
    end_s = time.monotonic() + CALLED_S
    while not names_at(fleet, fleet.edge.mirror[0]):
        assert time.monotonic() < end_s, "no copy has reached the mirror"
        time.sleep(0.05)
