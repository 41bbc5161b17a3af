"""Choose what to serve: verified releases of the store, filtered by what was asked and by this machine's devices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model_store.certificate import Setup, describe_host_class, find_certificate
from model_store.store import EXAMPLES_NAME, Release, Store
from services.catalogue import Catalogue, ServedVariant


class NothingToServeError(ValueError):
    """The store has nothing that fits; says what it has."""


def select_variants(
    store: Store, models: Sequence[str], variants: Sequence[str], device: str, setup: Setup | None = None
) -> Catalogue:
    """Verify releases and choose their variants.

    `models` are names, or `name:release` for an older release; none = the newest release of every model. `variants` are
    names, the first of which is the default, or `all` or `default`. With `setup`, each gets the certificate for being
    served so on this machine, if there is one.

    Raises:
        NothingToServeError, UnknownReleaseError, VerificationError: each says what there is and what to do.
    """
    chosen: list[ServedVariant] = []
    for name in models or store.models():
        model, _, release = name.partition(":")
        opened, default = store.resolve(model, release)
        chosen += _choose(opened, default, variants, device, setup)
    if not chosen:
        raise NothingToServeError(
            f"there is no release in {store.root}; make one with `train` and `release`, or `make demo`"
        )
    return Catalogue(chosen)


def _choose(
    release: Release, default: str, variants: Sequence[str], device: str, setup: Setup | None
) -> list[ServedVariant]:
    usable = [name for name in release.variants if release.manifests[name].target.device == device]
    if not usable:
        built_for = sorted({release.manifests[name].target.device for name in release.variants})
        raise NothingToServeError(
            f"{release.model} release {release.number} has variants for {', '.join(built_for)} only, and --device is "
            f"{device}; release it on a machine with {device}"
        )
    if default not in usable:
        default = usable[0]
    names = _named_variants(release, default, usable, variants)
    host = describe_host_class(device)
    digest = release.digest
    return [
        ServedVariant(
            manifest=release.manifests[name],
            archive=release.archive_path(name),
            examples=release.folder / EXAMPLES_NAME,
            golden=release.golden(name),
            certificate=find_certificate(release.certificates, name, host=host, setup=setup) if setup else None,
            release_digest=digest,
            is_default=name == (default if "all" in variants else names[0]),
        )
        for name in names
    ]


def _named_variants(release: Release, default: str, usable: Sequence[str], variants: Sequence[str]) -> list[str]:
    if "all" in variants:
        return list(usable)
    names = dict.fromkeys(default if name == "default" else name for name in variants)
    for name in names:
        release.archive_path(name)  # says why a variant may not be served
        if name not in usable:
            raise NothingToServeError(
                f"{release.model} {release.number}-{name} was not built for this device; it has {usable}"
            )
    return list(names)


def choose_device(store: Store, models: Sequence[str], wanted: str) -> str:
    """Turn `auto` into cuda where there is a GPU and every chosen model was released for one, else cpu."""
    if wanted != "auto":
        return wanted
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return "cpu"
    for name in models or store.models():
        model, _, release = name.partition(":")
        opened, _ = store.resolve(model, release)
        if not any(opened.manifests[variant].target.device == "cuda" for variant in opened.variants):
            return "cpu"
    return "cuda"
