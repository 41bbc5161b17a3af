"""Every rule holds for every fleet, and every rule has a fleet that breaks it."""

import copy

import pytest

from k8s.policy import RULES, find_violations
from k8s.policy.objects import Fleet


def of(objects, kind, index=0):
    return [item for item in objects if item["kind"] == kind][index]


def pod(objects):
    return of(objects, "Deployment")["spec"]["template"]["spec"]


def server(objects):
    return pod(objects)["containers"][0]


def engine(objects):
    return pod(objects)["initContainers"][1]


def volume(objects, name):
    return next(item for item in pod(objects)["volumes"] if item["name"] == name)


def environment(objects, name, value):
    next(item for item in server(objects)["env"] if item["name"] == name)["value"] = value


def settings(objects):
    return next(item for item in objects if item["metadata"]["name"].startswith("millrace-settings"))["data"]


def set_at(get, key, value):
    """Make a change: `get(objects)[key] = value`."""

    def change(objects):
        get(objects)[key] = value

    return change


def remove_at(get, key):
    def change(objects):
        del get(objects)[key]

    return change


def spec(kind, index=0):
    return lambda objects: of(objects, kind, index)["spec"]


BREAKERS = {
    "runs_unprivileged": [
        set_at(lambda objects: pod(objects)["securityContext"], "runAsUser", 0),
        remove_at(lambda objects: pod(objects)["securityContext"], "seccompProfile"),
        set_at(pod, "hostNetwork", True),
        set_at(lambda objects: server(objects)["securityContext"], "allowPrivilegeEscalation", True),
        set_at(
            lambda objects: server(objects)["securityContext"], "capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}
        ),
    ],
    "writes_only_where_it_must": [
        set_at(lambda objects: server(objects)["securityContext"], "readOnlyRootFilesystem", False),
        set_at(lambda objects: server(objects)["volumeMounts"][0], "readOnly", False),
        set_at(lambda objects: server(objects)["volumeMounts"][2], "readOnly", True),
        set_at(lambda objects: pod(objects)["volumes"], 0, {"name": "source", "hostPath": {"path": "/"}}),
        set_at(lambda objects: pod(objects)["volumes"], 3, {"name": "tmp", "emptyDir": {}}),
    ],
    "has_no_way_into_the_cluster": [
        set_at(pod, "automountServiceAccountToken", True),
        remove_at(pod, "enableServiceLinks"),
    ],
    "asks_for_what_it_uses": [
        remove_at(server, "resources"),
        set_at(lambda objects: server(objects)["resources"]["limits"], "memory", "8Gi"),
        set_at(lambda objects: server(objects)["resources"]["limits"], "cpu", "2"),
    ],
    "threads_fit_the_request": [
        lambda objects: environment(objects, "MILLRACE_THREADS", "8"),
        lambda objects: server(objects)["env"].clear(),
    ],
    "device_fits_the_pod": [
        lambda objects: environment(objects, "MILLRACE_DEVICE", "cuda"),
        set_at(lambda objects: server(objects)["resources"]["limits"], "nvidia.com/gpu", "1"),
    ],
    "probes_ask_the_right_thing": [
        remove_at(server, "readinessProbe"),
        set_at(lambda objects: server(objects)["livenessProbe"]["httpGet"], "path", "/v2/health/ready"),
        set_at(lambda objects: server(objects)["startupProbe"]["httpGet"], "port", "web"),
    ],
    "certificates_are_whole": [
        set_at(lambda objects: server(objects)["readinessProbe"]["httpGet"], "scheme", "HTTP"),
        lambda objects: environment(objects, "MILLRACE_TLS_CERT", ""),
        lambda objects: environment(objects, "MILLRACE_INSECURE", "true"),
        lambda objects: environment(objects, "MILLRACE_TLS_KEY", "/tmp/tls.key"),
    ],
    "start_has_the_time_it_needs": [
        set_at(lambda objects: server(objects)["startupProbe"], "failureThreshold", 90),
        set_at(settings, "MILLRACE_STARTUP_TIMEOUT_S", "600"),
    ],
    "ends_in_order": [
        set_at(pod, "terminationGracePeriodSeconds", 89),
        remove_at(server, "lifecycle"),
        set_at(settings, "MILLRACE_DRAIN_TIMEOUT_S", "120"),
        set_at(settings, "MILLRACE_DRAIN_DELAY_S", "4"),
        remove_at(settings, "MILLRACE_DRAIN_DELAY_S"),
    ],
    "serves_what_was_verified": [
        remove_at(pod, "initContainers"),
        set_at(lambda objects: pod(objects)["initContainers"][0], "args", ["classifier/7", "--to", "/store"]),
        set_at(lambda objects: pod(objects)["initContainers"][0], "image", "millrace:older"),
        lambda objects: pod(objects)["initContainers"][0]["volumeMounts"].pop(),
    ],
    "names_its_release": [
        set_at(
            lambda objects: of(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"],
            "millrace.dev/release-digest",
            "sha256:0",
        ),
        set_at(server, "args", ["classifier:2", "--variants", "int8"]),
        set_at(
            lambda objects: of(objects, "Deployment")["spec"]["selector"]["matchLabels"],
            "millrace.dev/release-digest",
            "0",
        ),
    ],
    "spreads_over_zones_and_hosts": [
        remove_at(pod, "topologySpreadConstraints"),
        set_at(
            lambda objects: pod(objects)["topologySpreadConstraints"][0], "labelSelector", {"matchLabels": {"a": "b"}}
        ),
    ],
    "image_is_named": [set_at(server, "image", "millrace"), set_at(server, "image", "registry:5000/millrace:latest")],
    "engine_is_its_gateways": [
        lambda objects: pod(objects)["initContainers"].pop(),
        set_at(lambda objects: engine(objects)["env"][0], "value", "/engine/other"),
        set_at(lambda objects: server(objects)["env"][0], "value", ""),
        remove_at(engine, "restartPolicy"),
        remove_at(engine, "startupProbe"),
        set_at(lambda objects: engine(objects)["volumeMounts"][0], "readOnly", True),
        set_at(lambda objects: engine(objects)["volumeMounts"][0], "name", "engine-tmp"),
        set_at(lambda objects: engine(objects)["volumeMounts"][0], "mountPath", "/engine/run"),
        lambda objects: volume(objects, "engine").pop("emptyDir"),
        set_at(engine, "ports", [{"containerPort": 7070}]),
        lambda objects: engine(objects)["volumeMounts"].append({"name": "keys", "mountPath": "/keys"}),
    ],
    "namespace_is_restricted": [
        remove_at(lambda objects: of(objects, "Namespace")["metadata"], "labels"),
        set_at(lambda objects: of(objects, "Service")["metadata"], "namespace", "default"),
    ],
    "services_find_their_pods": [
        set_at(spec("Service"), "clusterIP", "10.0.0.1"),
        set_at(spec("Service"), "selector", {"app.kubernetes.io/name": "millrace"}),
        set_at(lambda objects: of(objects, "Service")["spec"]["ports"][0], "targetPort", "web"),
        set_at(lambda objects: of(objects, "Service")["spec"]["ports"][0], "targetPort", "metrics"),
    ],
    "every_workload_may_lose_one_pod_at_a_time": [
        lambda objects: objects.remove(of(objects, "PodDisruptionBudget")),
        set_at(spec("PodDisruptionBudget"), "maxUnavailable", 0),
        set_at(spec("PodDisruptionBudget"), "selector", {"matchLabels": {"app.kubernetes.io/name": "millrace"}}),
    ],
    "network_is_closed": [
        lambda objects: objects.remove(of(objects, "NetworkPolicy")),
        set_at(lambda objects: of(objects, "NetworkPolicy", 1)["spec"], "podSelector", {}),
        remove_at(lambda objects: of(objects, "NetworkPolicy", 1)["spec"]["ingress"][0], "from"),
        remove_at(lambda objects: of(objects, "NetworkPolicy", 1)["spec"]["ingress"][0], "ports"),
        set_at(lambda objects: of(objects, "NetworkPolicy", 1)["spec"]["ingress"][0], "from", [{"podSelector": {}}]),
        lambda objects: objects.remove(of(objects, "NetworkPolicy", 1)),
    ],
    "scaling_is_sound": [
        set_at(spec("Deployment"), "replicas", 3),
        lambda objects: objects.append(copy.deepcopy(of(objects, "ScaledObject"))),
        set_at(lambda objects: of(objects, "ScaledObject")["spec"]["scaleTargetRef"], "name", "millrace-nothing"),
        set_at(spec("ScaledObject"), "minReplicaCount", 20),
        set_at(
            lambda objects: of(objects, "ScaledObject")["spec"]["advanced"]["horizontalPodAutoscalerConfig"][
                "behavior"
            ]["scaleDown"],
            "stabilizationWindowSeconds",
            60,
        ),
        set_at(
            lambda objects: of(objects, "ScaledObject")["spec"]["triggers"][0]["metadata"],
            "query",
            "sum(millrace_requests_total)",
        ),
    ],
    "routes_lead_somewhere": [
        set_at(lambda objects: of(objects, "GRPCRoute")["spec"]["rules"][0]["backendRefs"][0], "port", 9000),
        set_at(lambda objects: of(objects, "HTTPRoute")["spec"]["parentRefs"][0], "sectionName", "http"),
        set_at(
            lambda objects: of(objects, "GRPCRoute")["spec"]["rules"][0],
            "filters",
            [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "millrace-next", "port": 8001}}}],
        ),
        lambda objects: objects.remove(of(objects, "Gateway")),
    ],
    "nobody_enters_unasked": [
        lambda objects: objects.remove(of(objects, "SecurityPolicy")),
        set_at(lambda objects: of(objects, "Gateway")["spec"]["listeners"][0], "protocol", "HTTP"),
    ],
    "edge_and_nodes_know_each_other": [
        lambda objects: objects.remove(of(objects, "BackendTLSPolicy")),
        lambda objects: objects.remove(of(objects, "EnvoyProxy")),
        remove_at(spec("Gateway"), "infrastructure"),
        remove_at(spec("EnvoyProxy"), "backendTLS"),
    ],
    "nobody_else_names_callers": [
        remove_at(spec("ClientTrafficPolicy"), "headers"),
        lambda objects: environment(objects, "MILLRACE_TRUSTED_EDGES", "0.0.0.0/0"),
        set_at(
            lambda objects: of(objects, "ClientTrafficPolicy")["spec"]["headers"],
            "xForwardedClientCert",
            {"mode": "AppendForward", "certDetailsToAdd": ["Subject"]},
        ),
        lambda objects: environment(objects, "MILLRACE_TLS_CLIENT_CA", ""),
    ],
    "pods_are_watched_where_they_are": [
        set_at(lambda objects: of(objects, "PodMonitor")["spec"]["selector"], "matchLabels", {"app": "millrace"}),
        set_at(lambda objects: of(objects, "PodMonitor")["spec"]["podMetricsEndpoints"][0], "port", "web"),
    ],
    "kserve_ends_in_order": [
        remove_at(lambda objects: of(objects, "ServingRuntime")["spec"]["containers"][0], "lifecycle"),
        set_at(
            lambda objects: of(objects, "InferenceService")["spec"]["predictor"], "terminationGracePeriodSeconds", 60
        ),
        set_at(settings, "MILLRACE_DRAIN_TIMEOUT_S", "90"),
        set_at(
            lambda objects: of(objects, "ServingRuntime")["spec"]["containers"][0]["envFrom"][0]["configMapRef"],
            "name",
            "millrace-settings",  # without the hash
        ),
    ],
}

# What is broken elsewhere than in production, by where.
BROKEN_IN = {
    "mtls": {"certificates_are_whole", "edge_and_nodes_know_each_other", "nobody_else_names_callers"},
    "apart": {"engine_is_its_gateways"},
    "kserve": {"kserve_ends_in_order"},
}


def test_every_fleet_keeps_every_rule(fleets):
    assert {"cpu", "dev", "gpu", "production", "apart", "keda", "hpa", "mtls", "kserve"} <= fleets.keys()
    assert {name: find_violations(objects) for name, objects in fleets.items()} == {name: [] for name in fleets}


def test_every_rule_can_be_broken():
    assert BREAKERS.keys() == RULES.keys()


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("threads_fit_the_request", set_at(lambda objects: engine(objects)["resources"]["requests"], "cpu", "1")),
        ("device_fits_the_pod", set_at(lambda objects: engine(objects)["resources"]["limits"], "nvidia.com/gpu", "1")),
        ("runs_unprivileged", remove_at(lambda objects: engine(objects)["securityContext"], "capabilities")),
        ("asks_for_what_it_uses", remove_at(engine, "resources")),
        ("writes_only_where_it_must", remove_at(lambda objects: volume(objects, "engine")["emptyDir"], "sizeLimit")),
        ("image_is_named", set_at(engine, "image", "registry.example.com/millrace-engine")),
    ],
)
def test_rules_look_at_an_engine_too(fleets, rule, change):
    objects = copy.deepcopy(fleets["apart"])
    assert list(RULES[rule](Fleet(objects))) == []
    change(objects)
    assert len(list(RULES[rule](Fleet(objects)))) == 1, rule


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        pytest.param(rule, change, id=f"{rule}-{i}")
        for rule, changes in BREAKERS.items()
        for i, change in enumerate(changes)
    ],
)
def test_a_rule_finds_what_breaks_it(fleets, rule, change):
    broken_in = next((name for name, rules in BROKEN_IN.items() if rule in rules), "production")
    objects = copy.deepcopy(fleets[broken_in])
    change(objects)
    assert list(RULES[rule](Fleet(objects))), rule
