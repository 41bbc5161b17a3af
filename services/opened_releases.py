"""Releases opened and verified once, however often somebody looks."""

from __future__ import annotations

from collections.abc import Callable

from model_store.release import Release, UnknownReleaseError
from model_store.signing import VerificationError
from model_store.store import Store
from services.fitting import NothingToServeError

# Why a release, or what is wanted of it, cannot be served.
UNUSABLE = (UnknownReleaseError, NothingToServeError, VerificationError)


class OpenedReleases:
    """Opens a release again only when its files have changed and nothing of it is loaded."""

    def __init__(self, store: Store, is_loaded: Callable[[str, int], bool]) -> None:
        self._store = store
        self._is_loaded = is_loaded
        self._known: dict[tuple[str, int], tuple[object, Release | Exception]] = {}

    def open(self, model: str, number: int) -> Release:
        """Open a release, as Store.open does."""
        stamp, found = self._known.get((model, number), (None, None))
        if not (isinstance(found, Release) and self._is_loaded(model, number)):
            now = self._stamp(model, number)
            if found is None or stamp != now:
                found = self._verify(model, number)
                self._known[model, number] = now, found
        if isinstance(found, Exception):
            raise found
        return found

    def _verify(self, model: str, number: int) -> Release | Exception:
        try:
            return self._store.open(model, number)
        except (*UNUSABLE, ValueError) as error:
            return error

    def _stamp(self, model: str, number: int) -> object:
        try:
            files = [(path, path.stat()) for path in (self._store.root / model / str(number)).iterdir()]
        except OSError:
            return None
        return sorted((path.name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for path, stat in files)
