"""Schemas: those of each Kubernetes version for its own kinds, and for the kinds of others what we use of them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any, Final

import kubernetes_validate

Object = dict[str, Any]

VERSIONS: Final = tuple(f"1.{minor}" for minor in range(30, 38))

# Fields of `spec` by kind, as the projects' API references list them; * = required.
CUSTOM: Final[dict[tuple[str, str], str]] = {
    ("keda.sh/v1alpha1", "ScaledObject"): "scaleTargetRef* minReplicaCount maxReplicaCount pollingInterval fallback "
    "advanced triggers*",
    ("gateway.networking.k8s.io/v1", "GatewayClass"): "controllerName* parametersRef description",
    ("gateway.networking.k8s.io/v1", "Gateway"): "gatewayClassName* listeners* addresses infrastructure",
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): "parentRefs* hostnames rules*",
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): "parentRefs* hostnames rules*",
    (
        "gateway.envoyproxy.io/v1alpha1",
        "ClientTrafficPolicy",
    ): "targetRefs* tls http2 connection timeout clientIPDetection",
    ("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy"): "targetRefs* apiKeyAuth jwt authorization",
    (
        "gateway.envoyproxy.io/v1alpha1",
        "BackendTrafficPolicy",
    ): "targetRefs* loadBalancer retry circuitBreaker healthCheck timeout rateLimit",
    ("monitoring.coreos.com/v1", "PodMonitor"): "selector* podMetricsEndpoints* namespaceSelector",
    ("monitoring.coreos.com/v1", "PrometheusRule"): "groups*",
    (
        "serving.kserve.io/v1alpha1",
        "ServingRuntime",
    ): "supportedModelFormats* protocolVersions multiModel labels containers* volumes",
    ("serving.kserve.io/v1beta1", "InferenceService"): "predictor*",
    (
        "cert-manager.io/v1",
        "Certificate",
    ): "secretName* issuerRef* isCA dnsNames commonName usages duration renewBefore privateKey",
    ("cert-manager.io/v1", "Issuer"): "selfSigned ca",
}


def find_misfits(objects: Iterable[Object], version: str) -> list[str]:
    """Validate objects against one Kubernetes version, unknown fields included."""
    return [misfit for item in objects for misfit in _find_misfits(json.dumps(item, sort_keys=True), version)]


@functools.cache  # renderings share most of their objects
def _find_misfits(text: str, version: str) -> list[str]:
    item = json.loads(text)
    name = f"{item['kind']}/{item['metadata']['name']}"
    try:
        kubernetes_validate.validate(item, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(map(str, error.path))
        return [f"{name} does not fit Kubernetes {version}: {place}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError:
        return [f"{name}: {problem}" for problem in _find_custom_misfits(item)]
    return []


def _find_custom_misfits(item: Object) -> list[str]:
    fields = CUSTOM.get((item["apiVersion"], item["kind"]))
    if fields is None:
        return [f"{item['apiVersion']} {item['kind']} is neither Kubernetes' own nor listed in k8s/schemas.py"]
    known = {field.rstrip("*") for field in fields.split()}
    required = {field[:-1] for field in fields.split() if field.endswith("*")}
    unknown, missing = item["spec"].keys() - known, required - item["spec"].keys()
    problems = [f"spec.{name} is not a field of {item['kind']}" for name in sorted(unknown)]
    return problems + [f"spec.{name} is missing" for name in sorted(missing)]
