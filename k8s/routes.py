"""The way in through Gateway API, and on to the nodes.

A host name for each model, since a gRPC call names its model only in its body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from k8s.planning import NAMESPACE, ModelPlan

Object = dict[str, Any]

DOMAIN: Final = "models.example.com"
NODES_HOST: Final = "nodes.millrace.svc"  # in the certificate of every node (components/mtls/nodes.yaml)
INFERENCE_SERVICE: Final = "inference.GRPCInferenceService"


@dataclass(frozen=True)
class Mirror:
    """A Service that gets copies of so many percent of a model's calls; nobody waits for its answers."""

    service: str
    percent: int


def read_mirror(text: str) -> tuple[str, Mirror]:
    """Read `MODEL=SERVICE:PERCENT`.

    Raises:
        ValueError: it is not of this form.
    """
    model, sign, target = text.partition("=")
    service, colon, percent = target.rpartition(":")
    if not (model and sign and service and colon and percent.isdecimal() and 1 <= int(percent) <= 100):
        raise ValueError(
            f"a mirror is MODEL=SERVICE:PERCENT, 1 to 100, as in classifier=millrace-next:10; got {text!r}"
        )
    return model, Mirror(service, int(percent))


def host_name(plan: ModelPlan, domain: str) -> str:
    """Name a model's host at the edge."""
    return f"{plan.resource.removeprefix('millrace-')}.{domain}"


def model_routes(plan: ModelPlan, domain: str = DOMAIN, mirror: Mirror | None = None) -> list[Object]:
    """Make the gRPC and the REST route of one model and its canary, below its own host name, copied to `mirror`."""
    parent = [{"name": "millrace", "sectionName": "https"}]
    host = host_name(plan, domain)
    grpc_matches = [
        {"method": {"type": "Exact", "service": service}} for service in (INFERENCE_SERVICE, "grpc.health.v1.Health")
    ]
    http_matches = [{"path": {"type": "PathPrefix", "value": f"/{version}"}} for version in ("v1", "v2")]
    return [
        _route(plan, "gateway.networking.k8s.io/v1", "GRPCRoute", host, parent, grpc_matches, 8001, mirror),
        _route(plan, "gateway.networking.k8s.io/v1", "HTTPRoute", host, parent, http_matches, 8000, mirror),
    ]


def node_identity(plan: ModelPlan) -> Object:
    """Make the policy by which the edge speaks TLS to a model's nodes, and only to those of the nodes' authority."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "BackendTLSPolicy",
        "metadata": {"name": plan.resource, "namespace": NAMESPACE, "labels": plan.labels},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": plan.resource}],
            "validation": {
                "hostname": NODES_HOST,
                # Beside the edge's own certificate lies that of the authority which signed both.
                "caCertificateRefs": [{"group": "", "kind": "Secret", "name": "millrace-edge-client-tls"}],
            },
        },
    }


def _route(
    plan: ModelPlan,
    version: str,
    kind: str,
    host: str,
    parent: list[Object],
    matches: list[Object],
    port: int,
    mirror: Mirror | None,
) -> Object:
    suffix = "grpc" if kind == "GRPCRoute" else "rest"
    backends: list[Object] = [{"name": plan.resource, "port": port}]
    if plan.canary:
        backends[0]["weight"] = 100 - plan.canary_percent
        backends.append({"name": plan.canary.resource, "port": port, "weight": plan.canary_percent})
    rule: Object = {"matches": matches, "backendRefs": backends}
    if mirror is not None:
        copies = {"backendRef": {"name": mirror.service, "port": port}, "percent": mirror.percent}
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": copies}]
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": f"{plan.resource}-{suffix}", "namespace": NAMESPACE, "labels": plan.labels},
        "spec": {
            "parentRefs": parent,
            "hostnames": [host],
            "rules": [rule],
        },
    }
