"""Who asks: what a transport tells the core of a request beside its contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from services.gateway.keys import ApiKey


class Caller(Protocol):
    """`peer` is an address and port; `metadata` are the headers, by lower-case names.

    `credential` is the API key that the caller has shown, `certificate` the subject of the TLS certificate it has
    proven to own; None and '' without one. `named_by_edge` is what a trusted edge says of who asks (edges.py), ''
    without one. `request_id` is the request's, for the log.
    """

    @property
    def peer(self) -> str: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...
    @property
    def credential(self) -> ApiKey | None: ...
    @property
    def certificate(self) -> str: ...
    @property
    def named_by_edge(self) -> str: ...
    @property
    def request_id(self) -> str: ...

    def header(self, name: str) -> str:
        """One of the headers; '' without it. Cheaper than `metadata`, which decodes them all."""


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """A caller of whom everything is known at once."""

    peer: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    credential: ApiKey | None = None
    certificate: str = ""
    request_id: str = ""
    named_by_edge: str = ""

    def header(self, name: str) -> str:
        return self.metadata.get(name, "")


NOBODY = KnownCaller()


def name_caller(caller: Caller) -> str:
    """Name who asks, for shares, limits and logs: by a trusted edge, its key, its certificate's subject or its address.

    None of them can be mistaken for another: a key's name has neither '=' nor ':' nor '.', a subject has '=', an edge's
    word begins with 'edge:'. The address comes without its port, so that all connections of one machine are one caller;
    '' is the server itself.
    """
    if caller.named_by_edge:
        return f"edge:{caller.named_by_edge}"
    if caller.credential is not None:
        return caller.credential.name
    return caller.certificate or caller.peer.rpartition(":")[0]


def may_see(caller: Caller, model: str) -> bool:
    """Say whether a caller's list of models may name one."""
    return caller.credential is None or caller.credential.opens(model)
