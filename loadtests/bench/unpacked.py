"""A variant's archive, unpacked as TorchServe does it, and a request for it: what a process beside the server needs."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.generate.payload import cut_batches, make_grpc_bodies, read_rows
from loadtests.subject import Subject
from model_store.release import Release


@dataclass(frozen=True)
class Unpacked:
    """The archive's folder, and beside its files a packed call of so many rows."""

    folder: Path
    request: Path


@contextmanager
def unpack_archive(release: Release, subject: Subject, num_rows: int) -> Iterator[Unpacked]:
    """Unpack a variant's archive, with a request of the first example rows, and remove it again."""
    manifest = subject.manifest
    with tempfile.TemporaryDirectory(prefix="archive-") as name:
        folder = Path(name)
        with zipfile.ZipFile(release.archive_path(manifest.variant)) as archive:
            archive.extractall(folder)
        batches = cut_batches(read_rows(subject.examples_path, subject.input_names), num_rows)
        request = folder / "request.bin"
        request.write_bytes(make_grpc_bodies(manifest.model, manifest.version, batches[:1], subject.outputs)[0])
        yield Unpacked(folder, request)
