"""What a cluster's edge is told by Gateway API objects, against what Envoy is told on one machine."""

import pytest

from k8s.fleet import callers, envoy
from k8s.fleet.certificates import Trust
from k8s.fleet.envoy import Edge, Node, make_configuration, make_followed
from k8s.planning import Canary
from k8s.routes import model_routes
from tests.k8s.conftest import plan

NODES = [Node("127.0.0.1", 8000, 8001), Node("127.0.0.1", 8010, 8011)]


def spec_of(objects, kind, name="millrace"):
    (spec,) = [item["spec"] for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return spec


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edge")
    trust = Trust.make(folder)
    edge = Edge(
        nodes=NODES,
        port=9000,
        admin_port=9001,
        keys={"web": "key"},
        certificates=trust.towards_callers,
        identity=trust.towards_nodes,
    )
    return make_configuration(edge, folder)


@pytest.fixture
def listener(bootstrap):
    (listener,) = bootstrap["envoy.json"]["static_resources"]["listeners"]
    return listener


@pytest.fixture
def manager(listener):
    (chain,) = listener["filter_chains"]
    return chain["filters"][0]["typed_config"]


def seconds(text):
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_nodes_are_chosen_checked_ejected_and_limited_alike(fleets, bootstrap, protocol):
    backend = spec_of(fleets["gateway-api"], "BackendTrafficPolicy", f"millrace-{protocol}")
    clusters = bootstrap["envoy.json"]["static_resources"]["clusters"]
    (cluster,) = [item for item in clusters if item["name"] == protocol]
    passive, active = (backend["healthCheck"][name] for name in ("passive", "active"))
    assert backend["loadBalancer"]["type"] == "LeastRequest"
    assert cluster["lb_policy"] == "LEAST_REQUEST"
    assert cluster["common_lb_config"]["healthy_panic_threshold"]["value"] == backend["healthCheck"]["panicThreshold"]
    assert seconds(cluster["connect_timeout"]) == seconds(backend["timeout"]["tcp"]["connectTimeout"])
    assert cluster["outlier_detection"] == {
        "consecutive_gateway_failure": passive["consecutiveGatewayErrors"],
        "enforcing_consecutive_gateway_failure": 100,
        "split_external_local_origin_errors": passive["splitExternalLocalOriginErrors"],
        "consecutive_local_origin_failure": passive["consecutiveLocalOriginFailures"],
        "interval": passive["interval"],
        "base_ejection_time": passive["baseEjectionTime"],
        "max_ejection_percent": passive["maxEjectionPercent"],
    }
    checks = {
        "timeout": active["timeout"],
        "interval": f"{seconds(active['interval']):g}s",
        "unhealthy_threshold": active["unhealthyThreshold"],
        "healthy_threshold": active["healthyThreshold"],
    }
    asked = {"grpc": {"service_name": "service"}, "http": {"path": "path"}}[kind := active["type"].lower()]
    check = {ours: active[kind][theirs] for ours, theirs in asked.items()}
    assert cluster["health_checks"] == [{**checks, **envoy.NO_TRAFFIC, f"{kind}_health_check": check}]
    if protocol == "grpc":
        options = cluster["typed_extension_protocol_options"].popitem()[1]["explicit_http_config"]
        streams = options["http2_protocol_options"]["max_concurrent_streams"]
        assert streams == backend["http2"]["maxConcurrentStreams"]


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_calls_are_repeated_and_held_back_alike(fleets, protocol):
    backend = spec_of(fleets["gateway-api"], "BackendTrafficPolicy", f"millrace-{protocol}")
    retry, breaker = backend["retry"], backend["circuitBreaker"]
    (host,) = make_followed(Edge(nodes=NODES, port=9000, admin_port=9001))["routes.json"]["resources"][0][
        "virtual_hosts"
    ]
    route = next(item["route"] for item in host["routes"] if item["route"]["cluster"] == protocol)
    policy = route["retry_policy"]
    assert policy["retry_on"] == ",".join(retry["retryOn"]["triggers"])
    assert policy["num_retries"] == retry["numRetries"]
    pause = policy["retry_back_off"]
    assert [seconds(pause[name]) for name in ("base_interval", "max_interval")] == [
        seconds(retry["perRetry"]["backOff"][name]) for name in ("baseInterval", "maxInterval")
    ]
    assert route["timeout"] == backend["timeout"]["http"]["requestTimeout"]
    budget = envoy.THRESHOLDS["retry_budget"]
    assert {
        "max_connections": breaker["maxConnections"],
        "max_pending_requests": breaker["maxPendingRequests"],
        "max_requests": breaker["maxParallelRequests"],
        "retry_budget": budget,
    } == envoy.THRESHOLDS
    # A number in the place of a share: within what the share lets through between a small load and the highest.
    most = budget["budget_percent"]["value"] / 100 * breaker["maxParallelRequests"]
    assert budget["min_retry_concurrency"] <= breaker["maxParallelRetries"] <= most


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_each_client_has_the_same_limit_of_its_own(fleets, protocol):
    limit = spec_of(fleets["gateway-api"], "BackendTrafficPolicy", f"millrace-{protocol}")["rateLimit"]
    assert limit["type"] == "Local"
    (rule,) = limit["local"]["rules"]
    requests_per_s = Edge(nodes=NODES, port=9000, admin_port=9001).requests_per_s
    config = callers.limit_filter(requests_per_s)["typed_config"]
    (action,) = config["rate_limits"][0]["actions"]
    (descriptor,) = config["descriptors"]
    header = {"name": action["request_headers"]["header_name"], "type": "Distinct"}
    assert rule["clientSelectors"] == [{"headers": [header]}]
    assert descriptor["token_bucket"] == {
        "max_tokens": rule["limit"]["requests"],
        "tokens_per_fill": rule["limit"]["requests"],
        "fill_interval": {"Second": "1s"}[rule["limit"]["unit"]],
    }


def test_callers_are_taken_in_alike(fleets, bootstrap, listener, manager):
    client = spec_of(fleets["mtls"], "ClientTrafficPolicy")
    assert listener["per_connection_buffer_limit_bytes"] == 2**20
    assert client["connection"]["bufferLimit"] == "1Mi"
    (monitor,) = bootstrap["envoy.json"]["overload_manager"]["resource_monitors"]
    limit = monitor["typed_config"]["max_active_downstream_connections"]
    assert limit == client["connection"]["connectionLimit"]["value"]
    assert manager["http2_protocol_options"]["max_concurrent_streams"] == client["http2"]["maxConcurrentStreams"]
    assert manager["common_http_protocol_options"] == {
        "idle_timeout": client["timeout"]["http"]["idleTimeout"],
        "headers_with_underscores_action": {"RejectRequest": "REJECT_REQUEST"}[
            client["headers"]["withUnderscoresAction"]
        ],
    }
    (mutations,) = manager["early_header_mutation_extensions"]
    removed = [item["remove"] for item in mutations["typed_config"]["mutations"]]
    assert removed == client["headers"]["earlyRequestHeaders"]["remove"]
    shown = client["headers"]["xForwardedClientCert"]
    assert manager["forward_client_cert_details"] == {"SanitizeSet": "SANITIZE_SET"}[shown["mode"]]
    assert manager["set_current_client_cert_details"] == {name.lower(): True for name in shown["certDetailsToAdd"]}
    context = listener["filter_chains"][0]["transport_socket"]["typed_config"]
    assert context["require_client_certificate"] is not client["tls"]["clientValidation"]["optional"]
    assert context["common_tls_context"]["alpn_protocols"] == client["tls"]["alpnProtocols"]


@pytest.mark.parametrize("component", ["gateway-api", "mtls"])
def test_the_same_is_logged_of_each_call_with_its_trace(fleets, manager, component):
    gateway = spec_of(fleets[component], "Gateway")
    proxy = spec_of(fleets[component], "EnvoyProxy", gateway["infrastructure"]["parametersRef"]["name"])
    (settings,) = proxy["telemetry"]["accessLog"]["settings"]
    (log,) = manager["access_log"]
    assert settings["format"] == {"type": "JSON", "json": log["typed_config"]["log_format"]["json_format"]}
    assert settings["format"]["json"]["trace"] == "%REQ(TRACEPARENT)%"
    assert settings["sinks"] == [{"type": "File", "file": {"path": "/dev/stdout"}}]


def test_a_canary_gets_the_same_share(store):
    (planned,) = plan(store, "classifier", canaries={"classifier": Canary("1-eager", 5)})
    edge = Edge(nodes=NODES[:1], port=9000, admin_port=9001, canary=NODES[1:], canary_percent=5)
    (host,) = make_followed(edge)["routes.json"]["resources"][0]["virtual_hosts"]
    ours = [[item["weight"] for item in each["route"]["weighted_clusters"]["clusters"]] for each in host["routes"]]
    theirs = [[item["weight"] for item in route["spec"]["rules"][0]["backendRefs"]] for route in model_routes(planned)]
    assert ours == theirs == [[95, 5], [95, 5]]


def test_the_same_keys_are_asked_for(fleets):
    keys = spec_of(fleets["gateway-api"], "SecurityPolicy")["apiKeyAuth"]
    assert keys["extractFrom"] == [{"headers": [callers.KEY_HEADER]}]
    assert keys["forwardClientIDHeader"] == callers.CLIENT_HEADER


def test_the_same_tokens_are_asked_for(fleets, tmp_path):
    jwt = spec_of(fleets["jwt"], "SecurityPolicy")
    assert "apiKeyAuth" not in jwt
    (provider,) = jwt["jwt"]["providers"]
    (claim,) = provider["claimToHeaders"]
    tokens = callers.Tokens(issuer=provider["issuer"], key_set=tmp_path / "keys.json", audiences=provider["audiences"])
    (ours,) = callers.token_filter(tokens)["typed_config"]["providers"].values()
    assert ours["issuer"] == provider["issuer"]
    assert ours["claim_to_headers"] == [{"header_name": claim["header"], "claim_name": claim["claim"]}]
