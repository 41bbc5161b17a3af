"""The part of Envoy's configuration that finds out who calls, tells the nodes, and limits each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from k8s.fleet.extensions import Object, type_of

KEY_HEADER: Final = "x-api-key"
CLIENT_HEADER: Final = "x-client"
CERTIFICATE_HEADER: Final = "x-forwarded-client-cert"
NAME_CLAIM: Final = "sub"


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Whose signed tokens (JWT) open the edge: an issuer's, meant for one of these audiences (any, without one).

    `key_set` is a file of the issuer's public keys (JWKS), followed when another is put in its place.
    """

    issuer: str
    key_set: Path
    audiences: Sequence[str] = ()


def take_names_away() -> Object:
    """Make what takes the header with a caller's name off all that comes in, before anything looks at it."""
    config = {
        "@type": type_of("http.early_header_mutation.header_mutation.v3.HeaderMutation"),
        "mutations": [{"remove": CLIENT_HEADER}],
    }
    return {"name": "envoy.http.early_header_mutation.header_mutation", "typed_config": config}


def key_filter(keys: Mapping[str, str]) -> Object:
    """Make the filter that asks for an API key; `keys` are by client."""
    config = {
        "@type": type_of("filters.http.api_key_auth.v3.ApiKeyAuth"),
        "credentials": [{"client": client, "key": key} for client, key in sorted(keys.items())],
        "key_sources": [{"header": KEY_HEADER}],
        "forwarding": {"header": CLIENT_HEADER, "hide_credentials": True},
    }
    return {"name": "envoy.filters.http.api_key_auth", "typed_config": config}


def token_filter(tokens: Tokens) -> Object:
    """Make the filter that asks for a signed token that ends some time; its subject is the caller's name."""
    watched = {"filename": str(tokens.key_set), "watched_directory": {"path": str(tokens.key_set.parent)}}
    provider = {
        "issuer": tokens.issuer,
        **({"audiences": list(tokens.audiences)} if tokens.audiences else {}),
        "local_jwks": watched,
        "require_expiration": True,
        "claim_to_headers": [{"header_name": CLIENT_HEADER, "claim_name": NAME_CLAIM}],
        "forward": False,
    }
    config = {
        "@type": type_of("filters.http.jwt_authn.v3.JwtAuthentication"),
        "providers": {"callers": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "callers"}}],
    }
    return {"name": "envoy.filters.http.jwt_authn", "typed_config": config}


def pass_certificates_on() -> Object:
    """Make the part of a connection manager that tells nodes whose certificate a caller has shown, whatever it says."""
    return {
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"subject": True},
    }


def limit_filter(requests_per_s: int, header: str = CLIENT_HEADER) -> Object:
    """Make the filter that lets each client by itself, whom a header names, send so many requests per second."""
    bucket = {"max_tokens": requests_per_s, "tokens_per_fill": requests_per_s, "fill_interval": "1s"}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    by_client = {"header_name": header, "descriptor_key": "client", "skip_if_absent": True}
    config = {
        "@type": type_of("filters.http.local_ratelimit.v3.LocalRateLimit"),
        "stat_prefix": "edge",
        "token_bucket": bucket | {"max_tokens": 1_000_000, "tokens_per_fill": 1_000_000},
        "filter_enabled": always,
        "filter_enforced": always,
        "rate_limited_as_resource_exhausted": True,
        "rate_limits": [{"actions": [{"request_headers": by_client}]}],
        # No value: each client has a bucket of its own.
        "descriptors": [{"entries": [{"key": "client"}], "token_bucket": bucket}],
    }
    return {"name": "envoy.filters.http.local_ratelimit", "typed_config": config}
