"""For clusters that run KServe: it places and scales the pods, with the same image, release and sizes."""

from __future__ import annotations

from typing import Any

from k8s.nodes import PROBE_PERIOD_S, node_patch
from k8s.planning import NAMESPACE, ModelPlan

Object = dict[str, Any]


def inference_service(plan: ModelPlan, grace_s: int) -> Object:
    """Make the InferenceService of one model, for the ServingRuntime in components/kserve."""
    pod = node_patch(plan, grace_s)["spec"]["template"]["spec"]
    container = pod["containers"][0]
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": plan.model.replace("_", "-"),
            "namespace": NAMESPACE,
            "labels": plan.labels | plan.release_labels,
            "annotations": {
                "serving.kserve.io/deploymentMode": "RawDeployment",
                "serving.kserve.io/autoscalerClass": "external",
            },
        },
        "spec": {
            "predictor": {
                "minReplicas": plan.sizing.min_replicas,
                "maxReplicas": plan.sizing.max_replicas,
                "terminationGracePeriodSeconds": grace_s,
                "serviceAccountName": "millrace",
                "model": {
                    "modelFormat": {"name": "millrace"},
                    "runtime": "millrace",
                    "protocolVersion": "v2",
                    "storageUri": "pvc://millrace-store",
                    "args": container["args"],
                    "env": container["env"],
                    "resources": container["resources"],
                    **_startup(container),
                },
            }
        },
    }


def _startup(container: Object) -> Object:
    """The whole probe of components/kserve/serving-runtime.yaml, of which KServe takes no part for another."""
    if "startupProbe" not in container:
        return {}
    asked = {"httpGet": {"path": "/v2/health/ready", "port": 8000}, "periodSeconds": PROBE_PERIOD_S}
    return {"startupProbe": asked | container["startupProbe"]}
