"""Which release and variant of each model a fleet serves, read from the signed store, and how large its pods are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k8s.capacity import find_capacity
from k8s.sizing import Demand, Sizing, size_node
from model_store.manifest import Manifest
from model_store.release import Release
from model_store.store import Store


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """One model of a fleet."""

    manifest: Manifest
    digest: str  # sha256 of the signed release.json, which holds the digest of every other file
    sizing: Sizing

    @property
    def model(self) -> str:
        return self.manifest.model

    @property
    def resource(self) -> str:
        """Name of the model's objects: a DNS label, which has no underscore."""
        return f"millrace-{self.model.replace('_', '-')}"

    @property
    def labels(self) -> dict[str, str]:
        """What tells this model's objects from another's; part of selectors, so it never changes."""
        return {"app.kubernetes.io/name": "millrace", "millrace.dev/model": self.model}

    @property
    def release_labels(self) -> dict[str, str]:
        """What tells this release from another; not part of selectors. A label holds at most 63 characters."""
        return {
            "app.kubernetes.io/version": self.manifest.version,
            "millrace.dev/release-digest": self.digest[:32],
        }


def plan_models(
    store: Store,
    names: Sequence[str],
    *,
    device: str,
    demands: Mapping[str, Demand],
    workers: int,
    java_heap_mib: int,
) -> list[ModelPlan]:
    """Verify the named releases (`name`, `name:3`, `name:3-int8`; none = every model) and plan their pods.

    Raises:
        ValueError: nothing to serve, a name given twice, no variant for the device, or a demand beyond its limits.
        UnknownReleaseError, VerificationError: as the store says.
    """
    plans: dict[str, ModelPlan] = {}
    for name in names or store.models():
        model, _, version = name.partition(":")
        release, variant = store.resolve(model, version)
        chosen = _choose_variant(release, variant, device, is_named="-" in version)
        manifest = release.manifests[chosen]
        sizing = size_node(
            find_capacity(release, chosen),
            demands.get(model, demands[""]),
            workers=workers,
            java_heap_mib=java_heap_mib,
        )
        plan = ModelPlan(manifest=manifest, digest=release.digest, sizing=sizing)
        if not re.fullmatch(r"[a-z0-9-]{1,53}", plan.model.replace("_", "-")) or plan.model[-1] in "_-":
            raise ValueError(
                f"{plan.model!r} makes no Kubernetes name: at most 53 characters, a letter or digit at the end"
            )
        if plan.resource in (other.resource for other in plans.values()):
            raise ValueError(f"{name}: the fleet has a model of that name already; name each once")
        plans[model] = plan
    if not plans:
        raise ValueError(f"there is no release in {store.root}; make one with `train` and `release`, or `make demo`")
    return list(plans.values())


def _choose_variant(release: Release, variant: str, device: str, *, is_named: bool) -> str:
    if release.manifests[variant].target.device == device:
        return variant
    usable = [name for name in release.variants if release.manifests[name].target.device == device]
    if is_named or not usable:
        raise ValueError(
            f"{release.model} {release.number}-{variant} was built for {release.manifests[variant].target.device}, "
            f"not for {device}; its variants for {device}: {', '.join(usable) or 'none'}"
        )
    return usable[0]
