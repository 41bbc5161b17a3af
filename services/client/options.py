"""The command-line options that every `infer` command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model_store.settings import DEFAULT_GRPC_PORT, DEFAULT_REST_PORT

DEFAULT_URL, DEFAULT_REST_URL = f"localhost:{DEFAULT_GRPC_PORT}", f"localhost:{DEFAULT_REST_PORT}"
# The environment's names; MILLRACE_TLS_CERT and MILLRACE_TLS_KEY are the server's.
URL, REST_URL = "MILLRACE_URL", "MILLRACE_REST_URL"
TLS_CA, TLS_CERT, TLS_KEY = "MILLRACE_TLS_CA", "MILLRACE_TLS_CLIENT_CERT", "MILLRACE_TLS_CLIENT_KEY"
UrlOption = Annotated[str, typer.Option(help="host:port of the gRPC server, https:// before it for TLS", envvar=URL)]
RestUrlOption = Annotated[
    str, typer.Option("--url", help="host:port of the REST server, https:// before it for TLS", envvar=REST_URL)
]
TlsCaOption = Annotated[
    Path | None,
    typer.Option(
        help="PEM authorities to trust: speak TLS; none: the system's, where the address begins https://", envvar=TLS_CA
    ),
]
TlsCertOption = Annotated[
    Path | None, typer.Option(help="PEM certificate that shows who calls; needs --tls-key", envvar=TLS_CERT)
]
TlsKeyOption = Annotated[Path | None, typer.Option(help="PEM key of --tls-cert, without a password", envvar=TLS_KEY)]
VersionOption = Annotated[
    str, typer.Option(help="'' newest release's default, '3' release 3's default, '3-int8' exactly")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="seconds to wait for an answer", min=0.001)]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(help="key for a server that asks who calls; better as MILLRACE_API_KEY, which other users do not see"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
