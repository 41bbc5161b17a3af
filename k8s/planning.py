"""Which release and variant of each model a fleet serves, read from the signed store, and how large its pods are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from k8s.capacity import find_capacity
from k8s.sizing import Demand, Sizing, size_node
from model_store.manifest import Manifest
from model_store.release import Release
from model_store.store import Store

NAMESPACE: Final = "millrace"
GPU: Final = "nvidia.com/gpu"


@dataclass(frozen=True)
class Canary:
    """Another version of a model that gets so many percent of its calls."""

    version: str
    percent: int


def read_canary(text: str) -> tuple[str, Canary]:
    """Read `MODEL:VERSION=PERCENT`.

    Raises:
        ValueError: it is not of this form.
    """
    name, _, percent = text.partition("=")
    model, _, version = name.partition(":")
    if not (model and version and percent.isdecimal() and 1 <= int(percent) <= 50):
        raise ValueError(f"a canary is MODEL:VERSION=PERCENT, 1 to 50, as in classifier:2=5; got {text!r}")
    return model, Canary(version, int(percent))


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """One model of a fleet, or the canary beside it."""

    manifest: Manifest
    digest: str  # sha256 of the signed release.json, which holds the digest of every other file
    sizing: Sizing
    is_canary: bool = False
    canary: ModelPlan | None = None
    canary_percent: int = 0  # of the model's calls
    gpu_resource: str = GPU  # that a pod for CUDA gets one of

    @property
    def model(self) -> str:
        return self.manifest.model

    @property
    def name(self) -> str:
        """Name of these pods among the fleet's: the model's, or that of its canary."""
        return f"{self.model}-canary" if self.is_canary else self.model

    @property
    def resource(self) -> str:
        """Name of the model's objects: a DNS label, which has no underscore."""
        return f"millrace-{self.name.replace('_', '-')}"

    @property
    def gpu(self) -> str:
        """What a pod gets one of; '' where the processor computes."""
        return self.gpu_resource if self.manifest.target.device == "cuda" else ""

    @property
    def workloads(self) -> list[ModelPlan]:
        """What has pods: this, and the canary."""
        return [self, self.canary] if self.canary else [self]

    @property
    def labels(self) -> dict[str, str]:
        """What tells this model's objects from another's; part of selectors, so it never changes."""
        return {"app.kubernetes.io/name": "millrace", "millrace.dev/model": self.name}

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
    engine: str = "",
    canaries: Mapping[str, Canary] = MappingProxyType({}),
    host_class: str = "",
    gpu_resource: str = GPU,
) -> list[ModelPlan]:
    """Verify the named releases (`name`, `name:3`, `name:3-int8`; none = every model) and plan their pods.

    `engine` is what their image was built with: `onnx` runs only variants that need no torch.

    Raises:
        ValueError: nothing to serve, a name given twice, no variant for the device, no certificate of the host class,
            a demand beyond its limits, or a canary of a model that is not served or in the version that is.
        UnknownReleaseError, VerificationError: as the store says.
    """

    def plan(model: str, version: str, demand: Demand) -> ModelPlan:
        release, variant = store.resolve(model, version)
        chosen = _choose_variant(release, variant, device, engine, is_named="-" in version)
        capacity = find_capacity(release, chosen, host_class)
        sizing = size_node(capacity, demand, workers=workers, java_heap_mib=java_heap_mib)
        manifest = release.manifests[chosen]
        return ModelPlan(manifest=manifest, digest=release.digest, sizing=sizing, gpu_resource=gpu_resource)

    plans: dict[str, ModelPlan] = {}
    for name in names or store.models():
        model, _, version = name.partition(":")
        demand = demands.get(model, demands[""])
        made = plan(model, version, demand)
        if canary := canaries.get(model):
            made = _add_canary(made, plan(model, canary.version, _share(demand, canary)), canary.percent)
        for each in made.workloads:
            _check_name(each, [workload for other in plans.values() for workload in other.workloads])
        plans[model] = made
    if not plans:
        raise ValueError(f"there is no release in {store.root}; make one with `train` and `release`, or `make demo`")
    if unknown := canaries.keys() - plans.keys():
        raise ValueError(f"a canary of {', '.join(sorted(unknown))}, which this fleet does not serve")
    return list(plans.values())


def _share(demand: Demand, canary: Canary) -> Demand:
    """What a canary's callers need: its part of the calls; one pod is enough, for the edge repeats what it loses."""
    return replace(demand, rows_per_s=demand.rows_per_s * canary.percent / 100, min_replicas=1)


def _add_canary(plan: ModelPlan, trial: ModelPlan, percent: int) -> ModelPlan:
    if trial.manifest.version == plan.manifest.version:
        raise ValueError(
            f"the canary of {plan.model} is {trial.manifest.version}, as its other pods are; name another version"
        )
    return replace(plan, canary=replace(trial, is_canary=True), canary_percent=percent)


def _check_name(plan: ModelPlan, others: Sequence[ModelPlan]) -> None:
    if not re.fullmatch(r"[a-z0-9-]{1,53}", plan.name.replace("_", "-")) or plan.name[-1] in "_-":
        raise ValueError(f"{plan.name!r} makes no Kubernetes name: at most 53 characters, a letter or digit at the end")
    if plan.resource in (other.resource for other in others):
        raise ValueError(f"{plan.name}: the fleet has a model of that name already; name each once")


def _choose_variant(release: Release, variant: str, device: str, engine: str, *, is_named: bool) -> str:
    def is_usable(name: str) -> bool:
        target = release.manifests[name].target
        return target.device == device and (engine != "onnx" or not target.torch_version)

    if is_usable(variant):
        return variant
    usable = [name for name in release.variants if is_usable(name)]
    if is_named or not usable:
        wanted = f"{device} without torch, which ENGINE={engine} leaves out" if engine == "onnx" else device
        raise ValueError(
            f"{release.model} {release.number}-{variant} is no variant for {wanted}; "
            f"there are {', '.join(usable) or 'none'}"
        )
    return max(usable, key=lambda name: release.manifests[name].speed.rows_per_s)
