"""Envoy's configuration for one machine: what Envoy Gateway makes of components/gateway-api/policies.yaml.

Which nodes there are, how much a canary gets and which certificates are shown are files of their own, which Envoy
follows: a cluster's edge is told of them while it runs, and so is this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from k8s.fleet.callers import (
    CERTIFICATE_HEADER,
    CLIENT_HEADER,
    Tokens,
    key_filter,
    limit_filter,
    pass_certificates_on,
    take_names_away,
    token_filter,
)
from k8s.fleet.extensions import Object, type_of
from k8s.routes import NODES_HOST

# An inference changes nothing anywhere: a call whose node went away may be made again on another one.
RETRY_ON: Final = {
    "grpc": "connect-failure,refused-stream,reset,unavailable",
    "rest": "connect-failure,refused-stream,reset,gateway-error",
}
NUM_RETRIES: Final = 3
OUTLIER: Final[Object] = {
    "consecutive_gateway_failure": 3,
    "enforcing_consecutive_gateway_failure": 100,
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 2,
    "interval": "1s",
    "base_ejection_time": "5s",
    "max_ejection_percent": 50,
}
THRESHOLDS: Final[Object] = {
    "max_connections": 1024,
    "max_pending_requests": 4096,
    "max_requests": 16384,
    # The calls of a lost node are made again at once, many of them in a large fleet; a fleet that fails as a whole
    # is called half as often again at most. Envoy Gateway has no budget, but a number: `maxParallelRetries`.
    "retry_budget": {"budget_percent": {"value": 50}, "min_retry_concurrency": 64},
}
REQUEST_TIMEOUT: Final = "120s"
# Hears of a drain before the doors close. What answers no check is out after at most 0.5 + 1 + 0.5 + 1 s; the calls
# that wait there are made again elsewhere.
HEALTH: Final[Object] = {"timeout": "1s", "interval": "0.5s", "unhealthy_threshold": 2, "healthy_threshold": 1}
# A cluster without calls is looked at once a minute otherwise, and that minute is waited out.
NO_TRAFFIC: Final[Object] = {"no_traffic_interval": HEALTH["interval"]}
# A node that has become slow is ready, but asks to be left out.
EDGE_PATH: Final = "/v2/health/edge"
EDGE_SERVICE: Final = "millrace.Edge"
Balancing = Literal["least-request", "weighted"]
# By the load that nodes report with their answers (ORCA, MILLRACE_LOAD_REPORTS). FLEET.md has what each policy came to.
WEIGHTED: Final[Object] = {"blackout_period": "2s", "weight_expiration_period": "60s", "weight_update_period": "1s"}


# Of each call, as a line of JSON.
LOGGED: Final[Object] = {
    "time": "%START_TIME%",
    "client": f"%REQ({CLIENT_HEADER.upper()})%",
    "path": "%REQ(:PATH)%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS%",
    "flags": "%RESPONSE_FLAGS%",
    "node": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "duration_ms": "%DURATION%",
    "request": "%REQ(X-REQUEST-ID)%",
    "trace": "%REQ(TRACEPARENT)%",
}


@dataclass(frozen=True)
class Node:
    """One serving process."""

    host: str
    http_port: int
    grpc_port: int


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """What one side shows, and whose certificates it believes; without `authority` nobody else's is asked for."""

    certificate: Path
    key: Path
    authority: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What stands between callers and nodes."""

    nodes: Sequence[Node]
    port: int
    admin_port: int
    host: str = "127.0.0.1"
    keys: Mapping[str, str] = field(default_factory=dict)  # client → key
    tokens: Tokens | None = None  # in the place of keys; without both nobody is asked
    requests_per_s: int = 10_000  # of one client
    canary: Sequence[Node] = ()
    canary_percent: int = 0
    mirror: Sequence[Node] = ()  # get copies of calls; nobody waits for their answers
    mirror_percent: int = 0
    balancing: Balancing = "least-request"
    certificates: Certificates | None = None  # towards callers
    identity: Certificates | None = None  # towards nodes, which speak TLS then

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError("an edge needs at least one node")
        for name in ("canary", "mirror"):
            percent, nodes = getattr(self, f"{name}_percent"), getattr(self, name)
            if not 0 <= percent <= 100 or (percent and not nodes):
                raise ValueError(
                    f"{name}_percent is 0 to 100, and above 0 takes {name} nodes; got {percent} for {len(nodes)} nodes"
                )
        if self.keys and self.tokens:
            raise ValueError("an edge asks for keys or for tokens; who shows the one cannot show the other")
        if len(set(self.keys.values())) != len(self.keys):
            raise ValueError("two clients have the same key; every key names one client")


def make_configuration(edge: Edge, folder: Path) -> dict[str, Object]:
    """Make Envoy's files for a folder by their names: the configuration is `envoy.json`, it follows the others."""
    pools = _pools(edge)
    clusters = [make(suffix, edge, folder) for suffix in pools for make in (_grpc_cluster, _rest_cluster)]
    configuration = {
        "node": {"id": "edge", "cluster": "millrace"},
        "admin": {"address": _address(edge.host, edge.admin_port)},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": type_of("resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"),
                        "max_active_downstream_connections": 10_000,
                    },
                }
            ]
        },
        "static_resources": {"listeners": [_listener(edge, folder)], "clusters": clusters},
    }
    return {"envoy.json": configuration, **make_followed(edge)}


def make_followed(edge: Edge) -> dict[str, Object]:
    """Make the files that Envoy follows: routes, nodes, certificates."""
    files = {"routes.json": _resource("config.route.v3.RouteConfiguration", _route_configuration(edge))}
    for suffix, nodes in _pools(edge).items():
        for name, addresses in (
            (f"grpc{suffix}", [(node.host, node.grpc_port) for node in nodes]),
            (f"rest{suffix}", [(node.host, node.http_port) for node in nodes]),
        ):
            endpoints = [{"endpoint": {"address": _address(host, port)}} for host, port in addresses]
            assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
            files[f"{name}.json"] = _resource("config.endpoint.v3.ClusterLoadAssignment", assignment)
    for side, certificates, host in (("callers", edge.certificates, ""), ("nodes", edge.identity, NODES_HOST)):
        if certificates:
            files |= _secrets(side, certificates, host)
    return files


def _pools(edge: Edge) -> dict[str, Sequence[Node]]:
    pools = {"": edge.nodes, "-canary": edge.canary, "-mirror": edge.mirror}
    return {suffix: nodes for suffix, nodes in pools.items() if nodes}


def _resource(kind: str, content: Object) -> Object:
    return {"resources": [{"@type": f"type.googleapis.com/envoy.{kind}", **content}]}


def _followed(folder: Path, name: str) -> Object:
    return {"path_config_source": {"path": str(folder / f"{name}.json")}, "resource_api_version": "V3"}


def _listener(edge: Edge, folder: Path) -> Object:
    manager = {
        "@type": type_of("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "edge",
        "codec_type": "AUTO",
        "http2_protocol_options": {"max_concurrent_streams": 256},
        "common_http_protocol_options": {"idle_timeout": "900s", "headers_with_underscores_action": "REJECT_REQUEST"},
        "generate_request_id": True,
        "access_log": [_access_log()],
        # Before anything else looks at it: only the edge itself says who calls.
        "early_header_mutation_extensions": [take_names_away()],
        **pass_certificates_on(),
        "rds": {"route_config_name": "edge", "config_source": _followed(folder, "routes")},
        "http_filters": _filters(edge),
    }
    chain: Object = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    if edge.certificates:
        context = {
            "@type": type_of("transport_sockets.tls.v3.DownstreamTlsContext"),
            "require_client_certificate": edge.certificates.authority is not None,
            "common_tls_context": _tls_context("callers", edge.certificates, ["h2", "http/1.1"], folder),
        }
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return {
        "name": "edge",
        "address": _address(edge.host, edge.port),
        "per_connection_buffer_limit_bytes": 2**20,
        "filter_chains": [chain],
    }


def _route_configuration(edge: Edge) -> Object:
    routes = [
        {"match": {"prefix": "/", "grpc": {}}, "route": _route(edge, "grpc")},
        {"match": {"prefix": "/"}, "route": _route(edge, "rest")},
    ]
    return {"name": "edge", "virtual_hosts": [{"name": "millrace", "domains": ["*"], "routes": routes}]}


def _route(edge: Edge, cluster: str) -> Object:
    retry = {
        "retry_on": RETRY_ON[cluster],
        "num_retries": NUM_RETRIES,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": type_of("retry.host.previous_hosts.v3.PreviousHostsPredicate")},
            }
        ],
        # A dead node has the fewest requests: the policy offers it again and again until it is ejected.
        "host_selection_retry_max_attempts": 50,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
    }
    route: Object = {"timeout": REQUEST_TIMEOUT, "retry_policy": retry}
    if edge.mirror:
        share = {"default_value": {"numerator": edge.mirror_percent, "denominator": "HUNDRED"}}
        route["request_mirror_policies"] = [{"cluster": f"{cluster}-mirror", "runtime_fraction": share}]
    if not edge.canary:
        return route | {"cluster": cluster}
    shares = {cluster: 100 - edge.canary_percent, f"{cluster}-canary": edge.canary_percent}
    return route | {
        "weighted_clusters": {"clusters": [{"name": name, "weight": weight} for name, weight in shares.items()]}
    }


def _filters(edge: Edge) -> list[Object]:
    filters = [key_filter(edge.keys)] if edge.keys else []
    filters += [token_filter(edge.tokens)] if edge.tokens else []
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": type_of("filters.http.router.v3.Router")}}
    limit = limit_filter(edge.requests_per_s, CLIENT_HEADER if filters else CERTIFICATE_HEADER)
    return [*filters, limit, router]


def _grpc_cluster(suffix: str, edge: Edge, folder: Path) -> Object:
    options = {
        "max_concurrent_streams": 256,
        # A node that was cut off from here answers no ping: its connection ends, its calls go elsewhere.
        "connection_keepalive": {"interval": "1s", "timeout": "1s"},
    }
    check: Object = {"grpc_health_check": {"service_name": EDGE_SERVICE}}
    return _cluster(f"grpc{suffix}", edge, folder, {"http2_protocol_options": options}, check, "h2")


def _rest_cluster(suffix: str, edge: Edge, folder: Path) -> Object:
    check: Object = {"http_health_check": {"path": EDGE_PATH}}
    return _cluster(f"rest{suffix}", edge, folder, {"http_protocol_options": {}}, check, "http/1.1")


def _cluster(name: str, edge: Edge, folder: Path, protocol: Object, check: Object, alpn: str) -> Object:
    cluster = {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _followed(folder, name)},
        "connect_timeout": "0.5s",
        **_balancing(edge),
        "common_lb_config": {"healthy_panic_threshold": {"value": 30}},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": type_of("upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": protocol,
            }
        },
        "health_checks": [{**HEALTH, **NO_TRAFFIC, **check}],
        "close_connections_on_host_health_failure": True,
        # A node that was taken from the list is about to end, however well it is.
        "ignore_health_on_host_removal": True,
        "outlier_detection": OUTLIER,
        "circuit_breakers": {"thresholds": [THRESHOLDS]},
    }
    if edge.identity:
        context = {
            "@type": type_of("transport_sockets.tls.v3.UpstreamTlsContext"),
            "sni": NODES_HOST,
            "common_tls_context": _tls_context("nodes", edge.identity, [alpn], folder),
        }
        cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return cluster


def _balancing(edge: Edge) -> Object:
    if edge.balancing == "least-request":
        return {"lb_policy": "LEAST_REQUEST"}
    policy = "client_side_weighted_round_robin"
    weighted = {"@type": type_of(f"load_balancing_policies.{policy}.v3.ClientSideWeightedRoundRobin"), **WEIGHTED}
    extension = {"name": f"envoy.load_balancing_policies.{policy}", "typed_config": weighted}
    return {"load_balancing_policy": {"policies": [{"typed_extension_config": extension}]}}


def _tls_context(side: str, files: Certificates, protocols: Sequence[str], folder: Path) -> Object:
    names = {"certificate": f"{side}-certificate", "authority": f"{side}-authority"}
    secrets = {key: {"name": name, "sds_config": _followed(folder, name)} for key, name in names.items()}
    context: Object = {
        "alpn_protocols": list(protocols),
        "tls_certificate_sds_secret_configs": [secrets["certificate"]],
    }
    if files.authority:
        context["validation_context_sds_secret_config"] = secrets["authority"]
    return context


def _secrets(side: str, files: Certificates, host: str) -> dict[str, Object]:
    """Name the files of one side, which are read again when they are replaced."""
    pair = {
        "certificate_chain": {"filename": str(files.certificate)},
        "private_key": {"filename": str(files.key)},
        "watched_directory": {"path": str(files.certificate.parent)},
    }
    secrets = {"certificate": {"tls_certificate": pair}}
    if files.authority:
        trust: Object = {"trusted_ca": {"filename": str(files.authority)}}
        if host:
            trust["match_typed_subject_alt_names"] = [{"san_type": "DNS", "matcher": {"exact": host}}]
        secrets["authority"] = {"validation_context": trust}
    kind = "extensions.transport_sockets.tls.v3.Secret"
    return {
        f"{side}-{name}.json": _resource(kind, {"name": f"{side}-{name}", **content})
        for name, content in secrets.items()
    }


def _access_log() -> Object:
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": type_of("access_loggers.stream.v3.StdoutAccessLog"),
            "log_format": {"json_format": LOGGED},
        },
    }


def _address(host: str, port: int) -> Object:
    return {"socket_address": {"address": host, "port_value": port}}
