"""What was decided about releases after they were made: numbered, signed acts that are never changed.

`<root>/<model>/acts/<number>.json` holds an act and its signature. Each names the digest of the one before it, so that
none can be taken out of the middle or put into another place. What they come to is a `Course`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model_store.signing import Keyring, VerificationError
from model_store.version import split_version

FOLDER = "acts"
Kind = Literal["withdraw", "restore", "promote", "drop"]


class Act(BaseModel):
    """One decision; `version` is a release, `4`, or one variant of it, `4-int8`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    model: str
    number: int = Field(ge=1)
    kind: Kind
    version: str = Field(pattern=r"^\d+(-[a-z][a-z0-9_-]*)?$")
    against: str = Field("", description="the version that a live gate compared it with")
    why: str
    created: str = Field(description="ISO 8601, UTC")
    previous: str = Field(description="sha256 of the act before it; '' for the first")

    @property
    def release(self) -> int:
        return int(split_version(self.version)[0])


@dataclass
class Course:
    """What all acts of a model come to: what may not answer by default, and what was promoted."""

    withdrawn: set[str] = field(default_factory=set)
    promoted: dict[int, str] = field(default_factory=dict)

    def apply(self, act: Act) -> None:
        release = str(act.release)
        if act.kind == "withdraw":
            self.withdrawn.add(act.version)
            self.promoted.pop(act.release, None)
        elif act.kind == "restore":
            self.withdrawn.discard(act.version)
        elif act.kind == "promote":
            self.withdrawn -= {act.version, release}
            self.promoted[act.release] = split_version(act.version)[1]
        else:
            # A candidate of another release brought it along: what was not promoted must not answer as the newest.
            self.withdrawn |= {act.version} if act.against.startswith(f"{release}-") else {act.version, release}

    def current(self, releases: Iterable[int]) -> int | None:
        """Choose the release that answers where none is named: the newest that was not withdrawn."""
        return max((release for release in releases if str(release) not in self.withdrawn), default=None)


def derive_course(acts: Iterable[Act]) -> Course:
    """Derive what acts come to, the first of them first."""
    course = Course()
    for act in acts:
        course.apply(act)
    return course


class Acts:
    """The acts about one model."""

    def __init__(self, folder: Path, model: str, keyring: Keyring) -> None:
        self.folder = folder / FOLDER
        self._model = model
        self._keyring = keyring

    def read(self) -> list[Act]:
        """Read and verify all acts, the first one first.

        Raises:
            VerificationError: one is missing, changed, moved or signed by an unknown key.
        """
        return [act for act, _ in self._read()]

    def course(self) -> Course:
        """Derive what all acts come to.

        Raises:
            VerificationError: as `read`.
        """
        return derive_course(self.read())

    def add(self, kind: Kind, version: str, why: str, against: str = "") -> Act:
        """Sign an act and make it visible at once; of two writers the second takes the next number.

        Raises:
            VerificationError: the acts before it do not verify.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            known = self._read()
            act = Act(
                model=self._model,
                number=len(known) + 1,
                kind=kind,
                version=version,
                against=against,
                why=why,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                previous=known[-1][1] if known else "",
            )
            if self._write(act):
                return act

    def _write(self, act: Act) -> bool:
        text = act.model_dump_json()
        signature = json.loads(self._keyring.sign(text.encode()))
        final = self.folder / f"{act.number}.json"
        draft = self.folder / f".draft-{act.number}-{os.getpid()}"
        with draft.open("w") as file:
            json.dump({"act": text, "signature": signature}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, final)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def _read(self) -> list[tuple[Act, str]]:
        if not self.folder.is_dir():
            return []
        numbers = sorted(int(path.stem) for path in self.folder.glob("*.json") if path.stem.isdecimal())
        if numbers != list(range(1, len(numbers) + 1)):
            raise VerificationError(f"{self.folder} has acts {numbers}: one is missing; restore it")
        found: list[tuple[Act, str]] = []
        for number in numbers:
            found.append(self._read_one(self.folder / f"{number}.json", number, found))
        return found

    def _read_one(self, path: Path, number: int, before: Sequence[tuple[Act, str]]) -> tuple[Act, str]:
        try:
            content = json.loads(path.read_bytes())
            data, signature = content["act"].encode(), json.dumps(content["signature"]).encode()
        except (ValueError, KeyError, TypeError, AttributeError):
            raise VerificationError(f"{path} is no signed act") from None
        self._keyring.verify(data, signature, str(path))
        try:
            act = Act.model_validate_json(data)
        except ValidationError as error:
            raise VerificationError(f"{path} was signed, but is no act that is known here: {error}") from None
        if (act.model, act.number, act.previous) != (self._model, number, before[-1][1] if before else ""):
            raise VerificationError(f"{path} is act {act.number} of {act.model}: it was moved from its place")
        return act, hashlib.sha256(data).hexdigest()
