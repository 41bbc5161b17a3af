"""A model's pods: an instance of `node/` with the release, the sizes and the labels filled in."""

from __future__ import annotations

from typing import Any, Final

from k8s.planning import NAMESPACE, ModelPlan

Object = dict[str, Any]

STARTUP_NOTE: Final = "millrace.dev/startup-seconds"
PROBE_PERIOD_S: Final = 2  # of the startup probe in node/deployment.yaml


def node_kustomization(plan: ModelPlan) -> Object:
    """Make the kustomization that turns `node/` into this model's objects."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": ["../../../node"],
        "nameSuffix": plan.resource.removeprefix("millrace"),
        "labels": [
            {"pairs": {"millrace.dev/model": plan.name}, "includeSelectors": True},
            {"pairs": plan.release_labels, "includeTemplates": True},
        ],
        "patches": [{"path": "deployment.yaml"}],
    }


def node_patch(plan: ModelPlan, grace_s: int) -> Object:
    """Make the patch of the Deployment: what to serve, how large, how long it may take to end."""
    manifest, sizing = plan.manifest, plan.sizing
    environment = {
        "MILLRACE_DEVICE": manifest.target.device,
        "MILLRACE_WORKERS": str(sizing.workers),
        # Said here, because a container sees all cores of its machine, whatever it asked for.
        "MILLRACE_THREADS": str(sizing.threads),
    }
    probe: Object = {}
    if timeout_s := sizing.startup_timeout_s:
        environment["MILLRACE_STARTUP_TIMEOUT_S"] = str(timeout_s)
        probe = {"startupProbe": {"failureThreshold": timeout_s // PROBE_PERIOD_S + 1}}
    annotations = {
        "millrace.dev/release-digest": f"sha256:{plan.digest}",
        "millrace.dev/max-rows": str(manifest.max_rows),
        "millrace.dev/rows-per-second": f"{sizing.rows_per_s:.0f}",
    }
    if sizing.startup_s is not None:
        annotations[STARTUP_NOTE] = f"{sizing.startup_s:.0f}"
    pod: Object = {
        "terminationGracePeriodSeconds": grace_s,
        "initContainers": [
            {"name": "verify", "args": [f"{plan.model}/{manifest.release}", "--to", "/store"]},
        ],
        "containers": [
            {
                "name": "serve",
                "args": [f"{plan.model}:{manifest.release}", "--variants", manifest.variant],
                "env": [{"name": name, "value": value} for name, value in environment.items()],
                "resources": size_resources(sizing.cpu_millicores, sizing.memory_mib, plan.gpu),
                **probe,
            }
        ],
    }
    if terms := _affinity_terms(manifest.target.capability):
        pod["affinity"] = {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 100, "preference": {"matchExpressions": terms}}
                ]
            }
        }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "millrace"},
        "spec": {
            "replicas": sizing.replicas,
            "template": {"metadata": {"annotations": annotations}, "spec": pod},
        },
    }


def size_resources(cpu_millicores: int, memory_mib: int, gpu: str = "") -> dict[str, Object]:
    """Make what a container asks for and may have; one of `gpu`, where that is named."""
    memory = f"{memory_mib}Mi"
    requests: Object = {"cpu": f"{cpu_millicores}m", "memory": memory}
    limits: Object = {"memory": memory}  # none for the processor: throttling would only make answers late
    if gpu:
        requests[gpu] = limits[gpu] = "1"
    return {"requests": requests, "limits": limits}


def _affinity_terms(capability: str) -> list[Object]:
    """Say which machines can load a program, by the labels of Node Feature Discovery and of NVIDIA's.

    Preferred only, since not every cluster has these labels; elsewhere a program refuses to load, and says so.
    """
    if capability.startswith("sm_"):
        number = capability.removeprefix("sm_").rstrip("af")
        labels = {"nvidia.com/gpu.compute.major": number[:-1], "nvidia.com/gpu.compute.minor": number[-1]}
        return [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()]
    names = {"AVX2": "AVX2", "AVX512": "AVX512F", "VNNI": "AVX512VNNI", "BF16": "AVX512BF16", "AMX": "AMXTILE"}
    return [
        {"key": f"feature.node.kubernetes.io/cpu-cpuid.{names[part]}", "operator": "In", "values": ["true"]}
        for part in capability.split("+")
        if part in names
    ]
