"""Envoy's static configuration for one machine: what Envoy Gateway makes of components/gateway-api/policies.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

Object = dict[str, Any]

# An inference changes nothing anywhere: a call whose node went away may be made again on another one.
RETRY_ON: Final = "connect-failure,refused-stream,reset,unavailable"
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
    "max_retries": 64,
}
REQUEST_TIMEOUT: Final = "120s"
KEY_HEADER: Final = "x-api-key"
CLIENT_HEADER: Final = "x-client"


@dataclass(frozen=True)
class Node:
    """One serving process."""

    host: str
    http_port: int
    grpc_port: int


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Files of the edge's TLS; with `authority` callers need a certificate of it."""

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
    keys: Mapping[str, str] = field(default_factory=dict)  # client → key; empty = nobody is asked
    requests_per_s: int = 10_000  # of one client
    canary: Sequence[Node] = ()
    canary_percent: int = 0
    certificates: Certificates | None = None

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError("an edge needs at least one node")
        if bool(self.canary) != bool(self.canary_percent) or not 0 <= self.canary_percent <= 100:
            raise ValueError(
                f"canary nodes and a percentage go together; got {len(self.canary)}, {self.canary_percent}"
            )
        if len(set(self.keys.values())) != len(self.keys):
            raise ValueError("two clients have the same key; every key names one client")


def make_configuration(edge: Edge) -> Object:
    """Make Envoy's bootstrap configuration."""
    pools = {"": edge.nodes} | ({"-canary": edge.canary} if edge.canary else {})
    clusters = [make(suffix, nodes) for suffix, nodes in pools.items() for make in (_grpc_cluster, _rest_cluster)]
    return {
        "admin": {"address": _address(edge.host, edge.admin_port)},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": _type("resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"),
                        "max_active_downstream_connections": 10_000,
                    },
                }
            ]
        },
        "static_resources": {"listeners": [_listener(edge)], "clusters": clusters},
    }


def _listener(edge: Edge) -> Object:
    manager = {
        "@type": _type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "edge",
        "codec_type": "AUTO",
        "http2_protocol_options": {"max_concurrent_streams": 256},
        "common_http_protocol_options": {"idle_timeout": "900s", "headers_with_underscores_action": "REJECT_REQUEST"},
        "generate_request_id": True,
        "access_log": [_access_log()],
        "route_config": {"virtual_hosts": [{"name": "millrace", "domains": ["*"], "routes": _routes(edge)}]},
        "http_filters": _filters(edge),
    }
    chain: Object = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    if edge.certificates:
        chain["transport_socket"] = _transport_socket(edge.certificates)
    return {
        "name": "edge",
        "address": _address(edge.host, edge.port),
        "per_connection_buffer_limit_bytes": 2**20,
        "filter_chains": [chain],
    }


def _routes(edge: Edge) -> list[Object]:
    return [
        {"match": {"prefix": "/", "grpc": {}}, "route": _route(edge, "grpc")},
        {"match": {"prefix": "/"}, "route": _route(edge, "rest")},
    ]


def _route(edge: Edge, cluster: str) -> Object:
    retry = {
        "retry_on": RETRY_ON if cluster == "grpc" else RETRY_ON.replace("unavailable", "gateway-error"),
        "num_retries": NUM_RETRIES,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": _type("retry.host.previous_hosts.v3.PreviousHostsPredicate")},
            }
        ],
        # A dead node has the fewest requests: the policy offers it again and again until it is ejected.
        "host_selection_retry_max_attempts": 50,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
    }
    route: Object = {"timeout": REQUEST_TIMEOUT, "retry_policy": retry}
    if not edge.canary:
        return route | {"cluster": cluster}
    shares = {cluster: 100 - edge.canary_percent, f"{cluster}-canary": edge.canary_percent}
    return route | {
        "weighted_clusters": {"clusters": [{"name": name, "weight": weight} for name, weight in shares.items()]}
    }


def _filters(edge: Edge) -> list[Object]:
    filters: list[Object] = []
    if edge.keys:
        credentials = [{"client": client, "key": key} for client, key in sorted(edge.keys.items())]
        keys = {
            "@type": _type("filters.http.api_key_auth.v3.ApiKeyAuth"),
            "credentials": credentials,
            "key_sources": [{"header": KEY_HEADER}],
            "forwarding": {"header": CLIENT_HEADER, "hide_credentials": True},
        }
        filters.append({"name": "envoy.filters.http.api_key_auth", "typed_config": keys})
    bucket = {"max_tokens": edge.requests_per_s, "tokens_per_fill": edge.requests_per_s, "fill_interval": "1s"}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    by_client = {"header_name": CLIENT_HEADER, "descriptor_key": "client", "skip_if_absent": True}
    limit = {
        "@type": _type("filters.http.local_ratelimit.v3.LocalRateLimit"),
        "stat_prefix": "edge",
        "token_bucket": bucket | {"max_tokens": 1_000_000, "tokens_per_fill": 1_000_000},
        "filter_enabled": always,
        "filter_enforced": always,
        "rate_limited_as_resource_exhausted": True,
        "rate_limits": [{"actions": [{"request_headers": by_client}]}],
        # No value: each client has a bucket of its own.
        "descriptors": [{"entries": [{"key": "client"}], "token_bucket": bucket}],
    }
    filters.append({"name": "envoy.filters.http.local_ratelimit", "typed_config": limit})
    router = {"@type": _type("filters.http.router.v3.Router")}
    return [*filters, {"name": "envoy.filters.http.router", "typed_config": router}]


def _grpc_cluster(suffix: str, nodes: Sequence[Node]) -> Object:
    addresses = [(node.host, node.grpc_port) for node in nodes]
    options = {
        "max_concurrent_streams": 256,
        # A node that was cut off from here answers no ping: its connection ends, its calls go elsewhere.
        "connection_keepalive": {"interval": "1s", "timeout": "2s"},
    }
    return _cluster(f"grpc{suffix}", addresses, {"http2_protocol_options": options}, {"grpc_health_check": {}})


def _rest_cluster(suffix: str, nodes: Sequence[Node]) -> Object:
    addresses = [(node.host, node.http_port) for node in nodes]
    check = {"http_health_check": {"path": "/v2/health/ready"}}
    return _cluster(f"rest{suffix}", addresses, {"http_protocol_options": {}}, check)


def _cluster(name: str, addresses: Sequence[tuple[str, int]], protocol: Object, check: Object) -> Object:
    endpoints = [{"endpoint": {"address": _address(host, port)}} for host, port in addresses]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "0.5s",
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 30}},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _type("upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": protocol,
            }
        },
        # Hears of a drain before the doors close: a node that ends says "not ready" first.
        "health_checks": [
            {"timeout": "1s", "interval": "1s", "unhealthy_threshold": 2, "healthy_threshold": 1, **check}
        ],
        "outlier_detection": OUTLIER,
        "circuit_breakers": {"thresholds": [THRESHOLDS]},
    }


def _access_log() -> Object:
    fields = {
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
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": _type("access_loggers.stream.v3.StdoutAccessLog"),
            "log_format": {"json_format": fields},
        },
    }


def _transport_socket(files: Certificates) -> Object:
    pair = {"certificate_chain": {"filename": str(files.certificate)}, "private_key": {"filename": str(files.key)}}
    common: Object = {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [pair]}
    if files.authority:
        common["validation_context"] = {"trusted_ca": {"filename": str(files.authority)}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": _type("transport_sockets.tls.v3.DownstreamTlsContext"),
            "require_client_certificate": files.authority is not None,
            "common_tls_context": common,
        },
    }


def _address(host: str, port: int) -> Object:
    return {"socket_address": {"address": host, "port_value": port}}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"
