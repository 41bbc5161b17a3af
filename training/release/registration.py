"""A tracked run's release in MLflow's registry: a version that points to the signed release, and says its digest."""

from __future__ import annotations

from pathlib import Path

from model_store.release import Release
from training.engine.tracking import find_tracked, register_version


def register_release(run: Path | None, release: Release) -> str:
    """Register a release where its run is tracked; say so, or nothing where it is not.

    The version's source is the release's folder, whose signature `store verify` checks; the tag `digest` is that of
    the signed index, which holds the digests of all archives, so that nothing can stand in for what was registered.

    Raises:
        ValueError, ConnectionError: MLflow is not there any more.
    """
    tracked = find_tracked(run) if run is not None else None
    if tracked is None:
        return ""
    tags = {
        "digest": release.digest,
        "signed_by": release.signed_by,
        "release": str(release.number),
        "variants": ",".join(release.variants),
    }
    source = release.folder.resolve().as_uri()
    version = register_version(tracked.uri, release.model, source, run_id=tracked.id, tags=tags)
    return f"registered in MLflow as {release.model} version {version}, digest {release.digest[:16]}…"
