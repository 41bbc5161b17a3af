"""The store: releases on disk, each complete and signed, or not visible at all.

`<root>/<model>/<release>/` holds `release.json`, its signature, one .mar for each variant that passed, one manifest for
each that was measured, `examples.npz`, for their answers `golden.npz`, and of what a training run made `evidence.zip`.
A release is built in `.building-<release>/` and appears by one rename. What is measured of it later, certificates of
its capacity, is added beside it, each a file with a signature of its own.
Numbers are never used twice: a removed release leaves an empty `.removed-<release>`. Decisions about releases lie
beside them; see acts.py. Imports no torch.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.replacement import replacing
from model_store.acts import Acts, Course
from model_store.certificate import Certificate
from model_store.manifest import NAME_PATTERN, ReleaseIndex, read_manifest
from model_store.release import (
    EVIDENCE_NAME,
    EXAMPLES_NAME,
    GOLDEN_NAME,
    INDEX_NAME,
    SIGNATURE_NAME,
    Release,
    UnknownReleaseError,
    archive_name,
    file_digest,
    manifest_name,
)
from model_store.signing import Keyring, VerificationError
from model_store.version import split_version

CERTIFICATE_SUFFIX = ".certificate.json"
_LOCK_NAME = ".lock"
_CLAIM_S = 60.0
_ADVICE = "restore it or remove the release"
_NUMBER = re.compile(r"^(?:\.building-|\.removed-|\.trash-)?(\d+)$")


class Store:
    """All releases below one folder."""

    def __init__(self, root: Path, keyring: Keyring) -> None:
        self.root = root
        self.keyring = keyring

    def models(self) -> list[str]:
        """Names of the models that have a release."""
        if not self.root.is_dir():
            return []
        names = (path.name for path in self.root.iterdir() if path.is_dir() and re.match(NAME_PATTERN, path.name))
        return sorted(name for name in names if self.releases(name))

    def releases(self, model: str) -> list[int]:
        """Numbers of a model's releases, oldest first; empty for an unknown model."""
        _check_name(model)
        folder = self.root / model
        if not folder.is_dir():
            return []
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())

    def acts(self, model: str) -> Acts:
        """The decisions about a model's releases."""
        _check_name(model)
        return Acts(self.root / model, model, self.keyring)

    def course(self, model: str) -> Course:
        """Derive what the decisions about a model's releases come to.

        Raises:
            VerificationError: an act does not verify.
        """
        return self.acts(model).course()

    def open(self, model: str, release: int) -> Release:
        """Read a release and verify everything in it.

        Raises:
            UnknownReleaseError: there is no such release.
            VerificationError: a file is missing, changed or signed by an unknown key.
        """
        folder = self._folder(model, release)
        index = self._verified_index(folder, model, release)
        manifests = {}
        for variant, digest in index.manifests.items():
            path = folder / manifest_name(model, release, variant)
            _check_digest(path, digest)
            manifests[variant] = read_manifest(path)
        for variant, digest in index.archives.items():
            _check_digest(folder / archive_name(model, release, variant), digest)
        _check_digest(folder / EXAMPLES_NAME, index.examples)
        if index.golden is not None:
            _check_digest(folder / GOLDEN_NAME, index.golden.digest)
        if index.evidence is not None:
            _check_digest(folder / EVIDENCE_NAME, index.evidence)
        return Release(folder, index, manifests, self._read_certificates(folder, index))

    def certify(self, certificate: Certificate) -> Path:
        """Sign a certificate and put it beside its release; it takes the place of one for the same host class.

        Raises:
            UnknownReleaseError: there is no such release.
            VerificationError: it speaks of another manifest than the release's.
        """
        release = self.open(certificate.model, certificate.release)
        path = release.folder / f"{certificate.version}.{certificate.host.id}{CERTIFICATE_SUFFIX}"
        _check_subject(certificate, release.index, path)
        data = certificate.model_dump_json(indent=2).encode()
        # Between these steps there is no certificate, never a wrong one.
        path.unlink(missing_ok=True)
        for target, content in ((_signature_of(path), self.keyring.sign(data)), (path, data)):
            with replacing(target) as file:
                file.write(content)
        _sync(release.folder)
        return path

    def resolve(self, model: str, version: str = "") -> tuple[Release, str]:
        """Find what a version means: '' the current release's default, '3' release 3's default, '3-int8' exactly that.

        The newest release is the current one unless it was withdrawn; a promoted variant is its release's default.

        Raises:
            UnknownReleaseError: no such model, release or variant; or all were withdrawn.
            VerificationError: the release or an act does not verify.
        """
        number, variant = split_version(version)
        known = self.releases(model)
        if not known:
            raise UnknownReleaseError(f"no model {model!r} in {self.root}; it has {', '.join(self.models()) or 'none'}")
        if version and not (number.isdecimal() and int(number) in known):
            raise UnknownReleaseError(f"{model} has no release {version!r}; it has {', '.join(map(str, known))}")
        course = self.course(model)
        wanted = int(number) if version else course.current(known)
        if wanted is None:
            raise UnknownReleaseError(f"all releases of {model} were withdrawn; `store restore {model}/{known[-1]}`")
        release = self.open(model, wanted)
        variant = variant or course.promoted.get(wanted, release.index.default)
        release.archive_path(variant)
        return release, variant

    @contextmanager
    def building(self, model: str) -> Iterator[tuple[int, Path]]:
        """Claim a model's next release number and give a folder to build it in; removed again unless it was published.

        A crash leaves the folder behind, invisible; `prune` removes it.
        """
        _check_name(model)
        (self.root / model).mkdir(parents=True, exist_ok=True)
        number, folder = self._claim(model)
        with (folder / _LOCK_NAME).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield number, folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def publish(self, folder: Path, index: ReleaseIndex) -> Release:
        """Sign a folder from `building`, holding all files that the index lists, and make it visible by one rename."""
        (folder / INDEX_NAME).write_text(index.model_dump_json(indent=2))
        (folder / SIGNATURE_NAME).write_bytes(self.keyring.sign((folder / INDEX_NAME).read_bytes()))
        for path in folder.iterdir():
            _sync(path)
        _sync(folder)
        final = self.root / index.model / str(index.release)
        os.rename(folder, final)
        _sync(final.parent)
        (final / _LOCK_NAME).unlink()
        return self.open(index.model, index.release)

    def copy(self, model: str, release: int, target: Path) -> Release:
        """Copy a release into another store's folder and verify the copy: what was checked is what is there.

        May be repeated: a copy that is there already is only verified, what an interrupted one left is replaced.

        Raises:
            UnknownReleaseError: there is no such release.
            VerificationError: the copy does not verify; it is removed.
        """
        source = self._folder(model, release)
        final = target / model / str(release)
        if not final.exists():
            draft = final.with_name(f".building-{release}")
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(source, draft)
            os.rename(draft, final)
        try:
            return Store(target, self.keyring).open(model, release)
        except ValueError:
            shutil.rmtree(final)
            raise

    def remove(self, model: str, release: int) -> None:
        """Remove a release; it disappears at once, its number is not used again.

        Raises:
            UnknownReleaseError: there is no such release.
        """
        folder = self._folder(model, release)
        trash = folder.with_name(f".trash-{release}")
        (folder.parent / f".removed-{release}").touch()
        os.rename(folder, trash)
        shutil.rmtree(trash)

    def prune(self, keep: int) -> list[Path]:
        """Remove all but the newest `keep` releases of each model, and what crashed builds left; return what went.

        The release that answers by default stays, however old.
        """
        gone: list[Path] = []
        for model in self.models():
            current = self.course(model).current(self.releases(model))
            for release in self.releases(model)[:-keep]:
                if release != current:
                    self.remove(model, release)
                    gone.append(self.root / model / str(release))
        leftovers = [*self.root.glob("*/.building-*"), *self.root.glob("*/.trash-*")]
        for folder in leftovers:
            if not _is_in_use(folder):
                shutil.rmtree(folder)
                gone.append(folder)
        return gone

    def _folder(self, model: str, release: int) -> Path:
        if release not in self.releases(model):
            known = ", ".join(map(str, self.releases(model))) or "none"
            raise UnknownReleaseError(f"{model} has no release {release} in {self.root}; it has {known}")
        return self.root / model / str(release)

    def _read_certificates(self, folder: Path, index: ReleaseIndex) -> tuple[Certificate, ...]:
        certificates = []
        for path in sorted(folder.glob(f"[!.]*{CERTIFICATE_SUFFIX}")):
            certificate = Certificate.model_validate_json(self._read_signed(path))
            _check_subject(certificate, index, path)
            certificates.append(certificate)
        return tuple(certificates)

    def _verified_index(self, folder: Path, model: str, release: int) -> ReleaseIndex:
        path = folder / INDEX_NAME
        index = ReleaseIndex.model_validate_json(self._read_signed(path))
        if (index.model, index.release) != (model, release):
            raise VerificationError(f"{path} is {index.model} release {index.release}: it was moved; {_ADVICE}")
        return index

    def _read_signed(self, path: Path) -> bytes:
        """Read a file that has its signature beside it.

        Raises:
            VerificationError: one of the two is missing, or they do not belong together.
        """
        signature = _signature_of(path)
        for file in (path, signature):
            if not file.is_file():
                raise VerificationError(f"{file} is missing; {_ADVICE}")
        data = path.read_bytes()
        self.keyring.verify(data, signature.read_bytes(), str(path))
        return data

    def _claim(self, model: str) -> tuple[int, Path]:
        while True:
            taken = [int(match[1]) for name in os.listdir(self.root / model) if (match := _NUMBER.match(name))]
            number = max(taken, default=0) + 1
            folder = self.root / model / f".building-{number}"
            try:
                folder.mkdir()
            except FileExistsError:  # somebody else has just claimed it
                continue
            if (self.root / model / str(number)).exists():  # or has claimed and published it since the listing
                folder.rmdir()
                continue
            return number, folder


def _check_name(model: str) -> None:
    if not re.match(NAME_PATTERN, model):
        raise UnknownReleaseError(f"{model!r} is no model name: lower-case letters, digits, - and _, a letter first")


def _check_digest(path: Path, digest: str) -> None:
    if not path.is_file():
        raise VerificationError(f"{path} is missing; {_ADVICE}")
    if file_digest(path) != digest:
        raise VerificationError(f"{path} is not the file that was signed; {_ADVICE}")


def _signature_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")


def _check_subject(certificate: Certificate, index: ReleaseIndex, path: Path) -> None:
    if (certificate.model, certificate.release) != (index.model, index.release):
        raise VerificationError(f"{path} certifies {certificate.model} {certificate.release}: it was moved here")
    if index.manifests.get(certificate.variant) != certificate.manifest:
        raise VerificationError(f"{path} certifies another manifest of {certificate.variant}; certify it again")


def _is_in_use(folder: Path) -> bool:
    lock = folder / _LOCK_NAME
    if not lock.exists():  # claimed a moment ago, or trash
        return folder.name.startswith(".building-") and time.time() - folder.stat().st_mtime < _CLAIM_S
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
