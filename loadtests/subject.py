"""What is tested: the variants of a model's newest release, with real input rows, all from the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model_store.manifest import Manifest
from model_store.release import EXAMPLES_NAME, Release


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One variant that may be served, and the outputs to ask it for; none: its default ones."""

    manifest: Manifest
    examples_path: Path
    is_default: bool
    outputs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.manifest.model} {self.manifest.version}"

    @property
    def input_names(self) -> tuple[str, ...]:
        """The first combination of inputs that a request may bring, without optional ones."""
        manifest = self.manifest
        return tuple(
            tensor.name for tensor in manifest.inputs if tensor.name in manifest.input_sets[0] and not tensor.optional
        )


def order_manifests(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The reference first, then from slow to fast as they were released, so that gains read downwards."""
    return sorted(manifests, key=lambda manifest: (manifest.quality.paired is not None, manifest.speed.rows_per_s))


def list_subjects(release: Release) -> list[Subject]:
    """The servable variants of a release, in their order."""
    manifests = order_manifests(release.manifests[variant] for variant in release.variants)
    return [
        Subject(
            manifest=manifest,
            examples_path=release.folder / EXAMPLES_NAME,
            is_default=manifest.variant == release.index.default,
        )
        for manifest in manifests
    ]


def choose_subjects(release: Release, variants: Sequence[str]) -> list[Subject]:
    """The variants that a load test measures, in their order: the reference, the default and what else is named.

    `variants` are names, or `front` or `all`.

    Raises:
        UnknownReleaseError: one is not in the release or may not be served; says why.
    """
    chosen = {release.reference, release.index.default}
    for word in variants:
        chosen |= {*release.variants} if word == "all" else {*release.front} if word == "front" else {word}
    for variant in chosen:
        release.archive_path(variant)
    return [subject for subject in list_subjects(release) if subject.manifest.variant in chosen]


def find_variant(release: Release, variant: str, outputs: Sequence[str] = ()) -> Subject:
    """Find one variant of a release, to be asked for `outputs`.

    Raises:
        UnknownReleaseError: the variant is not in the release or may not be served; says why.
        ValueError: it has no such output.
    """
    release.archive_path(variant)
    subject = next(subject for subject in list_subjects(release) if subject.manifest.variant == variant)
    known = [tensor.name for tensor in subject.manifest.outputs]
    if unknown := sorted(set(outputs) - set(known)):
        raise ValueError(f"{subject.name} has no output {', '.join(unknown)}; there are {', '.join(known)}")
    return replace(subject, outputs=tuple(outputs))
