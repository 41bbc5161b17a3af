"""Certificates of a fleet on one machine, as cert-manager makes them on a cluster (components/mtls)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from host.replacement import replacing
from k8s.fleet.envoy import Certificates
from k8s.routes import NODES_HOST

LIFE_S: Final = 24 * 3600.0
RENEW_S: Final = 8 * 3600.0
EDGE_SUBJECT: Final = "CN=edge"  # towards nodes
_CLOCKS_DIFFER_S: Final = 300.0


class Authority:
    """Signs certificates; its own lies in a file, its key only in this process."""

    def __init__(self, name: str, folder: Path) -> None:
        self.path = folder / f"{name}.crt"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        builder = _builder(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0), 10 * LIFE_S)
        certificate = builder.issuer_name(self._name).sign(self._key, hashes.SHA256())
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, path: Path, name: str, hosts: Sequence[str] = ()) -> None:
        """Write a new key and its certificate as one PEM file, in the place of an older one at one moment.

        In two files one would be new before the other, and who reads them in between finds two that do not fit.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), key, x509.BasicConstraints(ca=False, path_length=None), LIFE_S)
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.issuer_name(self._name).sign(self._key, hashes.SHA256())
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        with replacing(path, mode=0o600) as file:
            file.write(certificate.public_bytes(encoding))
            file.write(key.private_bytes(encoding, form, serialization.NoEncryption()))


@dataclass(frozen=True)
class Trust:
    """The files of a fleet whose callers, edge and nodes prove to each other who they are.

    Two authorities, so that a caller's certificate opens no node.
    """

    callers: Authority
    nodes: Authority
    edge: Path  # what the edge shows to callers
    caller: Path  # for one caller
    edge_client: Path  # what the edge shows to nodes
    node: Path  # every node's
    hosts: Sequence[str]  # by which callers know the edge

    @classmethod
    def make(cls, folder: Path, hosts: Sequence[str] = ("localhost",)) -> Trust:
        """Make both authorities and all certificates in a folder."""
        edge, caller, edge_client, node = (folder / f"{name}.pem" for name in ("edge", "caller", "edge-client", "node"))
        trust = cls(Authority("callers", folder), Authority("nodes", folder), edge, caller, edge_client, node, hosts)
        trust.callers.issue(trust.caller, "caller")
        trust.renew()
        return trust

    @property
    def towards_callers(self) -> Certificates:
        """What the edge shows to callers, and what it asks of them."""
        return Certificates(certificate=self.edge, key=self.edge, authority=self.callers.path)

    @property
    def towards_nodes(self) -> Certificates:
        """What the edge shows to nodes, and what it asks of them."""
        return Certificates(certificate=self.edge_client, key=self.edge_client, authority=self.nodes.path)

    def renew(self) -> None:
        """Replace the certificates of edge and nodes, which take them up while they run."""
        self.callers.issue(self.edge, "edge", self.hosts)
        self.nodes.issue(self.edge_client, "edge")
        self.nodes.issue(self.node, "node", (NODES_HOST,))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, constraints: x509.BasicConstraints, life_s: float
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(seconds=_CLOCKS_DIFFER_S))
        .not_valid_after(now + datetime.timedelta(seconds=life_s))
        .add_extension(constraints, critical=True)
    )
