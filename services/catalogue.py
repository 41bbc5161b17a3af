"""What a serving process offers: variants of releases, and which of them a request's version means."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from model_store.certificate import Certificate
from model_store.golden import GoldenAnswer
from model_store.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class ServedVariant:
    """One variant of one release, with its verified archive, its golden rows (none in old releases).

    `certificate` is what it holds as it is served here, if that was certified. `release_digest` is the sha256 of its
    signed `release.json`, which holds the digests of all other files.
    """

    manifest: Manifest
    archive: Path
    examples: Path
    is_default: bool = field(compare=False)
    release_digest: str = ""
    golden: tuple[GoldenAnswer, ...] = field(default=(), compare=False)
    certificate: Certificate | None = field(default=None, compare=False)

    @cached_property
    def model(self) -> str:
        return self.manifest.model

    @cached_property
    def proven_outputs(self) -> frozenset[str]:
        """Outputs that were the same each time when it was released, whatever rows were beside theirs."""
        return frozenset(golden.output for golden in self.golden)

    @cached_property
    def version(self) -> str:
        return self.manifest.version

    def count_slots(self, slots_per_worker: int) -> int:
        """How many calls each of its workers is at at once, where so many are wanted."""
        return slots_per_worker if self.manifest.several_slots else 1

    def __str__(self) -> str:
        return f"{self.model} {self.version}"


class Catalogue:
    """All variants that are served, by model and version string.

    `defaults` name the version that answers where none is named, of models whose newest release does not; `standby`
    the variants that serve on demand only, without which the server is ready: candidates, and what was replaced.
    `left_out` says by model and version why this machine cannot run what is beside them in their releases.
    """

    def __init__(
        self,
        variants: Iterable[ServedVariant],
        defaults: Mapping[str, str] = MappingProxyType({}),
        standby: Container[str] = (),
        left_out: Mapping[tuple[str, str], str] = MappingProxyType({}),
    ) -> None:
        self.variants = tuple(variants)
        self.left_out = dict(left_out)
        self.required = tuple(variant for variant in self.variants if str(variant) not in standby)
        self._by_version: dict[str, dict[str, ServedVariant]] = {}
        for variant in sorted(self.variants, key=lambda variant: variant.manifest.release):
            versions = self._by_version.setdefault(variant.model, {})
            versions[variant.version] = variant
            if variant.is_default:
                versions[str(variant.manifest.release)] = variant
                versions[""] = variant
        for model, version in defaults.items():
            self._by_version[model][""] = self._by_version[model][version]

    @property
    def models(self) -> list[str]:
        return sorted(self._by_version)

    def versions(self, model: str) -> list[str]:
        """List the version strings of a model, its default first."""
        default = self._by_version[model].get("")
        names = [variant.version for variant in self.variants if variant.model == model]
        return sorted(names, key=lambda name: (default is None or name != default.version, name))

    def find(self, model: str, version: str = "") -> ServedVariant | None:
        """Find what a request means: '' the model's default, '3' release 3's default, '3-int8' exactly that."""
        return self._by_version.get(model, {}).get(version)

    def __contains__(self, model: str) -> bool:
        return model in self._by_version
