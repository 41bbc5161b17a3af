"""Requests that were kept with their answers, encrypted, so that somebody can prove later what was answered.

A record is a file of its own, `<moment>-<request>.record`: AES-GCM over a JSON head, the request and the answer as OIP
messages, with the file's name as associated data, so that none can stand in for another.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from time import time_ns
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SUFFIX: Final = ".record"
KEY_BYTES: Final = 32
_NONCE_BYTES = 12
_LENGTH_BYTES = 4


class RecordError(ValueError):
    """A record, or the key of records, cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One request and its answer; `request` and `answer` are serialized OIP messages, `moment` is ISO 8601 in UTC."""

    request_id: str
    moment: str
    caller: str
    model: str
    version: str
    release_digest: str
    request: bytes
    answer: bytes

    def encode(self) -> bytes:
        head = {name: value for name, value in asdict(self).items() if not isinstance(value, bytes)}
        encoded = json.dumps(head | {"request_bytes": len(self.request)}).encode()
        return len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded + self.request + self.answer

    @classmethod
    def decode(cls, data: bytes) -> Record:
        start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
        head = json.loads(data[_LENGTH_BYTES:start])
        end = start + head.pop("request_bytes")
        return cls(**head, request=data[start:end], answer=data[end:])


class RecordFolder:
    """A folder of records that holds at most so many bytes; the oldest go first."""

    def __init__(self, path: Path, key: bytes, max_bytes: int) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self.max_bytes = max_bytes
        self._cipher = AESGCM(key)
        self._files = deque((name, self.path.joinpath(name).stat().st_size) for name in self.names())
        self._num_bytes = sum(size for _, size in self._files)

    def names(self) -> list[str]:
        """Names of the records, the oldest first."""
        return sorted(path.name for path in self.path.glob(f"*{SUFFIX}"))

    def write(self, record: Record) -> None:
        """Keep a record, readable by this user only; one that is larger than the folder may be is dropped."""
        name = f"{time_ns():016x}-{_digest(record.request_id)}{SUFFIX}"
        nonce = secrets.token_bytes(_NONCE_BYTES)
        data = nonce + self._cipher.encrypt(nonce, record.encode(), name.encode())
        if len(data) > self.max_bytes:
            return
        while self._num_bytes + len(data) > self.max_bytes:
            oldest, size = self._files.popleft()
            self.path.joinpath(oldest).unlink(missing_ok=True)
            self._num_bytes -= size
        _write_private(self.path / name, data)
        self._files.append((name, len(data)))
        self._num_bytes += len(data)

    def read(self, name: str) -> Record:
        """Read a record by its file's name.

        Raises:
            RecordError: it is not there, was changed or renamed, or another key has encrypted it.
        """
        try:
            data = self.path.joinpath(name).read_bytes()
            return Record.decode(self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], name.encode()))
        except FileNotFoundError:
            raise RecordError(f"there is no record {name} in {self.path}") from None
        except InvalidTag:
            raise RecordError(f"{self.path / name} was changed, or encrypted with another key") from None

    def find(self, identity: str) -> Record:
        """Find the newest record of a request by the request's id, or one by its file's name.

        Raises:
            RecordError: there is none.
        """
        names = self.names()
        found = [name for name in names if name == identity or name.endswith(f"-{_digest(identity)}{SUFFIX}")]
        if not found:
            raise RecordError(f"no record of request {identity!r} in {self.path}, which has {len(names)} records")
        return self.read(found[-1])


def read_key(path: Path) -> bytes:
    """Read the key of records; it is made, for this user only, where there is none.

    Raises:
        RecordError: the file is no such key, or others may read it.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        _write_private(draft, secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):  # another process was first: its key is the one
            os.link(draft, path)
        draft.unlink()
    if path.stat().st_mode & 0o077:
        raise RecordError(f"others may read the key {path}: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise RecordError(f"{path} holds {len(key)} bytes; a key of records has {KEY_BYTES}")
    return key


def _write_private(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)


def _digest(request_id: str) -> str:
    """A request's id as part of a file's name: callers choose ids."""
    return hashlib.sha256(request_id.encode("utf-8", "replace")).hexdigest()[:16]
