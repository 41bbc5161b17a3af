"""A release in the store, verified: its files, what each is called, and what may be served of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_store.certificate import Certificate
from model_store.examples import read_examples
from model_store.frontier import find_front_of
from model_store.golden import GoldenAnswer
from model_store.manifest import Manifest, ReleaseIndex

INDEX_NAME = "release.json"
SIGNATURE_NAME = "release.json.sig"
EXAMPLES_NAME = "examples.npz"
GOLDEN_NAME = "golden.npz"
EVIDENCE_NAME = "evidence.zip"


class UnknownReleaseError(LookupError):
    """There is no such model, release or variant in the store."""


@dataclass(frozen=True)
class Release:
    """A verified release."""

    folder: Path
    index: ReleaseIndex
    manifests: Mapping[str, Manifest]
    certificates: tuple[Certificate, ...] = ()

    @property
    def model(self) -> str:
        return self.index.model

    @property
    def number(self) -> int:
        return self.index.release

    @property
    def signed_by(self) -> str:
        """Fingerprint of the key whose signature was verified."""
        key: str = json.loads((self.folder / SIGNATURE_NAME).read_bytes())["key"]
        return key

    @property
    def variants(self) -> tuple[str, ...]:
        """Variants that may be served, the default first."""
        default = self.index.default
        return (default, *sorted(variant for variant in self.index.archives if variant != default))

    @property
    def reference(self) -> str:
        """The variant that the others are compared with."""
        return min(self.variants, key=lambda variant: self.manifests[variant].quality.paired is not None)

    @property
    def front(self) -> list[str]:
        """Variants that may be served and that no other beats in quality, speed and size, in the order of archives."""
        return find_front_of(self.manifests[variant] for variant in self.index.archives)

    @property
    def digest(self) -> str:
        """sha256 of the signed index, which holds the digest of every other file."""
        return file_digest(self.folder / INDEX_NAME)

    def archive_path(self, variant: str) -> Path:
        """Path of a variant's archive.

        Raises:
            UnknownReleaseError: the variant is not in this release or may not be served; says why.
        """
        if variant in self.index.archives:
            return self.folder / archive_name(self.model, self.number, variant)
        why = self.index.rejected.get(variant) or self.index.left_out.get(variant)
        reason = f": {why}" if why else ""
        raise UnknownReleaseError(
            f"{self.model} release {self.number} has no variant {variant!r}{reason}; it has {', '.join(self.variants)}"
        )

    @property
    def evidence_path(self) -> Path | None:
        """What its training run left to look at (see evidence.py); None of a release that came without a run."""
        return None if self.index.evidence is None else self.folder / EVIDENCE_NAME

    def examples(self) -> dict[str, np.ndarray]:
        """A few real input rows by input name; BYTES inputs as object arrays of bytes."""
        return read_examples(self.folder / EXAMPLES_NAME)

    def golden(self, variant: str) -> tuple[GoldenAnswer, ...]:
        """A variant's golden rows; none in a release from before there were any."""
        if self.index.golden is None:
            return ()
        arrays = read_examples(self.folder / GOLDEN_NAME)
        return tuple(
            GoldenAnswer(
                inputs=golden.inputs, output=golden.output, expected=arrays[str(place)], tolerance=golden.tolerance
            )
            for place, golden in enumerate(self.index.golden.outputs)
            if golden.variant == variant and golden.tolerance is not None
        )


def archive_name(model: str, release: int, variant: str) -> str:
    """File name of a variant's archive."""
    return f"{model}-{release}-{variant}.mar"


def manifest_name(model: str, release: int, variant: str) -> str:
    """File name of a variant's manifest."""
    return f"{model}-{release}-{variant}.json"


def file_digest(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
