"""Rules for a fleet's objects among each other: addresses, budgets, network, scaling. Each yields what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator

from k8s.policy.ending import find_end
from k8s.policy.objects import Fleet, labels_of, matches, name_of, server_of

_COUNTER = re.compile(
    r"(\w+)\(\s*(?:\w+_total|\w+_sum|\w+_count|\w+_bucket)\b|\b(\w+_total|\w+_sum|\w+_count|\w+_bucket)\b"
)


def namespace_is_restricted(fleet: Fleet) -> Iterator[str]:
    for namespace in fleet.of("Namespace"):
        if namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name_of(namespace)} does not enforce restricted pod security"
    known = {namespace["metadata"]["name"] for namespace in fleet.of("Namespace")}
    for item in fleet.objects:
        if item["kind"] not in ("Namespace", "PriorityClass", "GatewayClass"):
            place = item["metadata"].get("namespace")
            if place not in known:
                yield f"{name_of(item)} is in the namespace {place}, which is not among the fleet's"


def services_find_their_pods(fleet: Fleet) -> Iterator[str]:
    for service in fleet.of("Service"):
        if service["spec"].get("clusterIP") != "None":
            yield f"{name_of(service)} is not headless: a gRPC caller would stay on one pod"
        selector = {"matchLabels": service["spec"].get("selector", {})}
        found = [
            item for item in fleet.of("Deployment") if selector["matchLabels"] and matches(selector, labels_of(item))
        ]
        if len(found) != 1:
            yield f"{name_of(service)} selects {len(found)} workloads"
            continue
        ports = {port["name"] for port in server_of(found[0])["ports"]}
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"{name_of(service)}: no container has the port {port['targetPort']}"
            if port["targetPort"] == "metrics":
                yield f"{name_of(service)} offers metrics to callers"


def every_workload_may_lose_one_pod_at_a_time(fleet: Fleet) -> Iterator[str]:
    for workload in fleet.of("Deployment"):
        budgets = [
            item
            for item in fleet.of("PodDisruptionBudget")
            if item["spec"].get("selector", {}).get("matchLabels")
            and matches(item["spec"]["selector"], labels_of(workload))
        ]
        if len(budgets) != 1 or budgets[0]["spec"].get("maxUnavailable") != 1:
            yield f"{name_of(workload)} has no disruption budget of its own with maxUnavailable 1"


def network_is_closed(fleet: Fleet) -> Iterator[str]:
    policies = fleet.of("NetworkPolicy")
    closed = [
        item
        for item in policies
        if item["spec"]["podSelector"] == {}
        and set(item["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        and not item["spec"].get("ingress")
        and not item["spec"].get("egress")
    ]
    if not closed:
        yield "no NetworkPolicy denies everything by default"
    for policy in policies:
        if policy["spec"].get("ingress") and not policy["spec"]["podSelector"].get("matchLabels"):
            yield f"{name_of(policy)} opens every pod of the namespace"
        for rule in [*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ())]:
            peers = rule.get("from") or rule.get("to")
            if not peers or not rule.get("ports"):
                yield f"{name_of(policy)} opens a port to everybody, or every port"
            for peer in peers or ():
                if any(selector == {} for selector in peer.values()):
                    yield f"{name_of(policy)} lets in everything that matches an empty selector"
    for workload in fleet.of("Deployment"):
        if not any(
            matches(item["spec"]["podSelector"], labels_of(workload)) and item["spec"].get("ingress")
            for item in policies
        ):
            yield f"{name_of(workload)} can be reached by nobody"


def scaling_is_sound(fleet: Fleet) -> Iterator[str]:
    targets: list[str] = []
    for scaler in fleet.of("ScaledObject", "HorizontalPodAutoscaler"):
        spec = scaler["spec"]
        target = spec["scaleTargetRef"]["name"]
        targets.append(target)
        workload = fleet.find("Deployment", target)
        if workload is None:
            yield f"{name_of(scaler)} scales {target}, which is not there"
        elif "replicas" in workload["spec"]:
            yield f"{name_of(workload)} names replicas, which every apply would set against {name_of(scaler)}"
        least = spec.get("minReplicaCount", spec.get("minReplicas", 1))
        sleeps = any(trigger["type"] == "cron" for trigger in spec.get("triggers", ()))
        if not (0 if sleeps else 1) <= least <= spec.get("maxReplicaCount", spec.get("maxReplicas", 0)):
            yield f"{name_of(scaler)}: its least and most replicas do not fit"
        behavior = spec.get("behavior") or spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        if behavior["scaleDown"]["stabilizationWindowSeconds"] < 300:
            yield f"{name_of(scaler)} scales down within 300 s of a peak"
        for trigger in spec.get("triggers", ()):
            if raw := _raw_counter(trigger["metadata"].get("query", "")):
                yield f"{name_of(scaler)} scales on {raw}, a counter that only grows"
    yield from (
        f"{target} has two autoscalers" for target in sorted({name for name in targets if targets.count(name) > 1})
    )


def _raw_counter(query: str) -> str:
    """Find a cumulative series that no rate() or increase() is taken of."""
    for function, bare in _COUNTER.findall(query):
        if bare or function not in ("rate", "increase", "irate"):
            return bare or query
    return ""


def routes_lead_somewhere(fleet: Fleet) -> Iterator[str]:
    for route in fleet.of("GRPCRoute", "HTTPRoute"):
        for parent in route["spec"]["parentRefs"]:
            gateway = fleet.find("Gateway", parent["name"])
            listeners = {item["name"] for item in gateway["spec"]["listeners"]} if gateway else set()
            if parent.get("sectionName") not in listeners:
                yield f"{name_of(route)} belongs to a listener that is not there"
        for rule in route["spec"]["rules"]:
            copies = [
                item["requestMirror"]["backendRef"] for item in rule.get("filters", ()) if "requestMirror" in item
            ]
            for backend in [*rule["backendRefs"], *copies]:
                service = fleet.find("Service", backend["name"])
                ports = {port["port"] for port in service["spec"]["ports"]} if service else set()
                if backend.get("port") not in ports:
                    yield f"{name_of(route)} leads to {backend['name']}:{backend.get('port')}, which is not there"


def nobody_enters_unasked(fleet: Fleet) -> Iterator[str]:
    for gateway in fleet.of("Gateway"):
        for listener in gateway["spec"]["listeners"]:
            if listener["protocol"] != "HTTPS" or not listener.get("tls", {}).get("certificateRefs"):
                yield f"{name_of(gateway)}: listener {listener['name']} takes plain text"
        guarded = any(
            "apiKeyAuth" in policy["spec"] or "jwt" in policy["spec"]
            for policy in fleet.of("SecurityPolicy")
            if {"Gateway"} == {ref["kind"] for ref in policy["spec"]["targetRefs"]}
            and gateway["metadata"]["name"] in {ref["name"] for ref in policy["spec"]["targetRefs"]}
        )
        if not guarded:
            yield f"{name_of(gateway)} asks nobody for a key"


def edge_and_nodes_know_each_other(fleet: Fleet) -> Iterator[str]:
    """Where nodes ask for certificates, the edge shows one and checks theirs."""
    asking = [item for item in fleet.of("Deployment") if fleet.settings(server_of(item)).get("MILLRACE_TLS_CLIENT_CA")]
    checked = {ref["name"] for policy in fleet.of("BackendTLSPolicy") for ref in policy["spec"]["targetRefs"]}
    for workload in asking:
        if workload["metadata"]["name"] not in checked:
            yield f"{name_of(workload)} speaks TLS, and no BackendTLSPolicy says so to the edge"
    for gateway in fleet.of("Gateway") if asking else ():
        parameters = gateway["spec"].get("infrastructure", {}).get("parametersRef", {})
        proxy = fleet.find("EnvoyProxy", parameters.get("name", ""))
        if proxy is None or not proxy["spec"].get("backendTLS", {}).get("clientCertificateRef"):
            yield f"{name_of(gateway)} has no certificate to show to nodes that ask for one"


def nobody_else_names_callers(fleet: Fleet) -> Iterator[str]:
    """Where nodes believe the edge's word about who calls, only the edge can give it."""
    believing = False
    for workload in fleet.of("Deployment"):
        settings = fleet.settings(server_of(workload))
        for edge in filter(None, settings.get("MILLRACE_TRUSTED_EDGES", "").split(";")):
            believing = True
            if "=" in edge and not settings.get("MILLRACE_TLS_CLIENT_CA"):
                yield f"{name_of(workload)} believes the certificate {edge} and asks for none"
            elif edge.endswith("/0"):
                yield f"{name_of(workload)} believes everybody who names a caller"
    for gateway in fleet.of("Gateway") if believing else ():
        headers = [
            policy["spec"].get("headers", {})
            for policy in fleet.of("ClientTrafficPolicy")
            if gateway["metadata"]["name"] in {ref["name"] for ref in policy["spec"]["targetRefs"]}
        ]
        if not any("x-client" in each.get("earlyRequestHeaders", {}).get("remove", ()) for each in headers):
            yield f"{name_of(gateway)} lets callers name themselves by the header x-client"
        if any("Forward" in each.get("xForwardedClientCert", {}).get("mode", "") for each in headers):
            yield f"{name_of(gateway)} lets callers name themselves by the header x-forwarded-client-cert"


def pods_are_watched_where_they_are(fleet: Fleet) -> Iterator[str]:
    for monitor in fleet.of("PodMonitor"):
        if "namespaceSelector" in monitor["spec"]:  # of what others run, as the GPUs' exporter
            continue
        taken = [item for item in fleet.of("Deployment") if matches(monitor["spec"]["selector"], labels_of(item))]
        if len(taken) != len(fleet.of("Deployment")):
            yield f"{name_of(monitor)} watches {len(taken)} of {len(fleet.of('Deployment'))} workloads"
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            for workload in taken:
                if endpoint["port"] not in {port["name"] for port in server_of(workload)["ports"]}:
                    yield f"{name_of(monitor)}: {name_of(workload)} has no port {endpoint['port']}"


def kserve_ends_in_order(fleet: Fleet) -> Iterator[str]:
    """Pods that KServe makes end as ours do: preStop, drain, the engine's end."""
    longest_s = 0.0
    for runtime in fleet.of("ServingRuntime"):
        for container in runtime["spec"]["containers"]:
            needed_s, faults = find_end(container, fleet)
            yield from (f"{name_of(runtime)}: {fault}" for fault in faults)
            longest_s = max(longest_s, needed_s or 0.0)
    for service in fleet.of("InferenceService"):
        if service["spec"]["predictor"].get("terminationGracePeriodSeconds", 30) < longest_s:
            yield f"{name_of(service)} has less than the {longest_s:g} s of preStop, drain and the engine's end"


FLEET_RULES = (
    namespace_is_restricted,
    services_find_their_pods,
    every_workload_may_lose_one_pod_at_a_time,
    network_is_closed,
    scaling_is_sound,
    routes_lead_somewhere,
    nobody_enters_unasked,
    edge_and_nodes_know_each_other,
    nobody_else_names_callers,
    pods_are_watched_where_they_are,
    kserve_ends_in_order,
)
