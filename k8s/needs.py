"""Secrets and ConfigMaps that a fleet's objects name and that nothing among them makes: somebody must."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from k8s.planning import NAMESPACE

Object = dict[str, Any]

_ADVICE: Final = {
    "millrace-api-keys": "generic {name} --from-literal=web=$(openssl rand -hex 24)   # each client's name and key",
    "millrace-edge-tls": "tls {name} --cert=edge.crt --key=edge.key   # for the names below your domain",
    "millrace-token-keys": "{name} --from-file=jwks=keys.json   # your issuer's public keys",
}


@dataclass(frozen=True, order=True)
class Need:
    """Something that must be in the namespace."""

    kind: str
    name: str

    @property
    def advice(self) -> str:
        """Say how it is made."""
        kind = self.kind.lower()
        rest = _ADVICE.get(self.name, ("generic " if kind == "secret" else "") + "{name} --from-file=…")
        return f"kubectl -n {NAMESPACE} create {kind} {rest.format(name=self.name)}"


def find_needs(objects: list[Object]) -> list[Need]:
    """List what is named and not made: neither there, nor what a Certificate is written to."""
    made = {Need(item["kind"], item["metadata"]["name"]) for item in objects}
    made |= {Need("Secret", item["spec"]["secretName"]) for item in objects if item["kind"] == "Certificate"}
    return sorted({need for item in objects for need in _named(item.get("spec", {}))} - made)


def _named(part: object) -> Iterator[Need]:
    if isinstance(part, list):
        for each in part:
            yield from _named(each)
    if not isinstance(part, dict):
        return
    if part.get("kind") in ("Secret", "ConfigMap"):
        yield Need(part["kind"], part["name"])
    if "secretName" in part.get("secret", {}):
        yield Need("Secret", part["secret"]["secretName"])
    if "name" in part.get("configMapRef", {}):
        yield Need("ConfigMap", part["configMapRef"]["name"])
    for reference in part.get("certificateRefs", ()):
        yield Need(reference.get("kind", "Secret"), reference["name"])
    for each in part.values():
        yield from _named(each)
