"""Which variants of a release a machine can run, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from host.instruction_sets import cpu_features, find_lacking
from model_store.manifest import Target
from model_store.release import Release
from model_store.signing import VerificationError
from model_store.store import Store


class NothingToServeError(ValueError):
    """The store has nothing that fits; says what it has."""


def find_misfits(release: Release, device: str) -> dict[str, str]:
    """Say of those variants of a release that this machine cannot run why: what was compiled elsewhere, for one.

    Raises:
        NothingToServeError: it can run none.
    """
    targets = {name: release.manifests[name].target for name in release.variants}
    misfits = {name: why for name, target in targets.items() if (why := _find_misfit(target, device))}
    if len(misfits) == len(targets):
        whys = "; ".join(dict.fromkeys(misfits.values()))
        raise NothingToServeError(
            f"{release.model} release {release.number} has no variant that runs here: {whys}; release it on a machine "
            "like this one"
        )
    return misfits


def choose_device(store: Store, models: Sequence[str], wanted: str) -> str:
    """Turn `auto` into cuda where there is a GPU and every chosen model was released for one, else cpu."""
    if wanted != "auto":
        return wanted
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return "cpu"
    for name in models or store.models():
        model, _, release = name.partition(":")
        try:
            opened, _ = store.resolve(model, release)
        except VerificationError:
            if name in models:
                raise
            continue  # it tells nothing; whether it is left out is decided where what to serve is
        if not any(opened.manifests[variant].target.device == "cuda" for variant in opened.variants):
            return "cpu"
    return "cuda"


def _find_misfit(target: Target, device: str) -> str:
    """Say why a program of this target does not run here; '' where it does."""
    built_for = f"built for {target.device} {target.capability}".rstrip()
    if target.device != device:
        return f"{built_for}, and --device is {device}"
    if device == "cpu" and (lacking := find_lacking(target.capability)):
        return f"{built_for}, and this CPU is {'+'.join(cpu_features())}, without {', '.join(lacking)}"
    return ""
