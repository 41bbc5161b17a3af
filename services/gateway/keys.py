"""API keys: who holds one, what it opens, until when. The file keeps digests, never a key.

A key is 256 random bits, so one plain SHA-256 keeps it: nobody can try enough of them. Salts and slow hashes protect
passwords, which people choose, and would cost each request what they are meant to cost a thief.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from time import monotonic, time
from typing import Final, Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from host.exclusion import alone_in
from host.replacement import replacing
from model_store.manifest import NAME_PATTERN
from services.gateway.file_stamp import stamp_of

logger = structlog.get_logger("gateway")

PREFIX: Final = "mlr_"
ID_CHARACTERS: Final = 8
# How old what is known of the file may be: revoking takes no longer, and requests need not look.
LOOK_S: Final = 1.0
_NO_DIGEST = secrets.token_bytes(32)


class KeysError(ValueError):
    """The file of keys cannot be used, or has no such key."""


class Verb(StrEnum):
    """What a caller may do: ask models, read what there is, change what is served."""

    INFER = "infer"
    READ = "read"
    ADMIN = "admin"


class ApiKey(BaseModel):
    """One key, without its secret; two of one name are one caller, so that a key can be renewed before it ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    name: str = Field(pattern=NAME_PATTERN)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the whole key")
    models: tuple[str, ...] = Field((), description="names; () = all")
    verbs: tuple[Verb, ...]
    created: AwareDatetime
    expires: AwareDatetime | None = Field(None, description="none: never")

    @cached_property
    def digest(self) -> bytes:
        return bytes.fromhex(self.sha256)

    @cached_property
    def expires_s(self) -> float:
        """When it ends, in time.time()'s seconds."""
        return float("inf") if self.expires is None else self.expires.timestamp()

    @property
    def has_expired(self) -> bool:
        return self.expires_s <= time()

    def opens(self, model: str) -> bool:
        """Say whether it is for a model; '' stands for all of them."""
        return not self.models or model in self.models


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    keys: tuple[ApiKey, ...] = ()


class KeyFile:
    """The file that `serve keys` writes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[ApiKey, ...]:
        """Read all keys.

        Raises:
            KeysError: there is no such file, it is none of keys, or somebody else could write to it.
        """
        try:
            mode = self.path.stat().st_mode
            data = self.path.read_bytes()
        except OSError as error:
            raise KeysError(
                f"cannot read keys from {self.path}: {error.strerror}; `serve keys add` makes one"
            ) from None
        if mode & 0o022:
            raise KeysError(f"others may write to {self.path} and so let themselves in: chmod 600 {self.path}")
        try:
            return _Content.model_validate_json(data).keys
        except ValueError as error:
            raise KeysError(f"{self.path} holds no keys as `serve keys` writes them: {error}") from None

    def add(self, name: str, models: tuple[str, ...], verbs: tuple[Verb, ...], expires: datetime | None) -> str:
        """Make a key and return it: it is known nowhere else.

        Raises:
            KeysError: the file cannot be used, or the name is none.
        """
        identity = secrets.token_hex(ID_CHARACTERS // 2)
        token = f"{PREFIX}{identity}_{secrets.token_urlsafe(32)}"
        try:
            key = ApiKey(
                id=identity,
                name=name,
                sha256=hashlib.sha256(token.encode()).hexdigest(),
                models=models,
                verbs=verbs,
                created=datetime.now(UTC),
                expires=expires,
            )
        except ValueError:
            raise KeysError(
                f"a key's name is lower-case letters, digits, - and _, a letter first; got {name!r}"
            ) from None
        with self._locked():
            known = self.read() if self.path.exists() else ()
            self._write((*known, key))
        return token

    def revoke(self, name: str) -> list[ApiKey]:
        """Remove all keys of a name, or the one with an id; return them.

        Raises:
            KeysError: the file cannot be used, or has no such key.
        """
        with self._locked():
            known = self.read()
            gone = [key for key in known if name in (key.name, key.id)]
            if not gone:
                names = ", ".join(f"{key.name} ({key.id})" for key in known) or "none"
                raise KeysError(f"there is no key {name!r} in {self.path}; it has {names}")
            self._write(tuple(key for key in known if key not in gone))
        return gone

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone_in(self.path.parent):
            yield

    def _write(self, keys: tuple[ApiKey, ...]) -> None:
        """Replace the file at once, with mode 0600 whatever the umask: a server reads the old one or the new one."""
        with replacing(self.path, mode=0o600) as file:
            file.write(_Content(keys=keys).model_dump_json(indent=2).encode() + b"\n")


class KeyRing:
    """The keys of a file as they are now, for a server: changes act within a second."""

    def __init__(self, file: KeyFile) -> None:
        """Read the file.

        Raises:
            KeysError: it cannot be used.
        """
        self._file = file
        self._look_s = monotonic() + LOOK_S
        self._state = stamp_of(self._file.path)
        self._keys = {key.id: key for key in file.read()}

    def find(self, token: str) -> ApiKey | None:
        """Find the key that a caller has sent, expired or not; an unknown one takes as long as a wrong one."""
        if monotonic() >= self._look_s:
            self._refresh()
        key = self._keys.get(token[len(PREFIX) : len(PREFIX) + ID_CHARACTERS])
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        is_right = hmac.compare_digest(digest, _NO_DIGEST if key is None else key.digest)
        return key if is_right else None

    def _refresh(self) -> None:
        """Read the file again if it has changed; while it cannot be read, nobody is let in whom it last named not."""
        self._look_s = monotonic() + LOOK_S
        state = stamp_of(self._file.path)
        if state == self._state:
            return
        self._state = state
        if state is None:
            self._keys = {}
            logger.error("the file of keys is gone; nobody is let in", file=str(self._file.path))
            return
        try:
            self._keys = {key.id: key for key in self._file.read()}
        except KeysError as error:
            logger.error("the file of keys is broken; the keys that it held before are used", why=str(error))
            return
        logger.info("keys were read again", file=str(self._file.path), keys=len(self._keys))
