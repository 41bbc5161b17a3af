"""Who asks: what a transport tells the core of a request beside its contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Caller(Protocol):
    """`peer` is an address and port; `metadata` are the headers, by lower-case names."""

    @property
    def peer(self) -> str: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """A caller of whom everything is known at once."""

    peer: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


NOBODY = KnownCaller()


def name_caller(caller: Caller) -> str:
    """Tell callers apart: by address, whatever their connections."""
    return caller.peer.rpartition(":")[0]
