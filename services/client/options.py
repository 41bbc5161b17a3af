"""The command-line options that every `infer` command has."""

from __future__ import annotations

from typing import Annotated

import typer

from model_store.settings import DEFAULT_GRPC_PORT

DEFAULT_URL = f"localhost:{DEFAULT_GRPC_PORT}"
UrlOption = Annotated[str, typer.Option(help="host:port of the gRPC server", envvar="MILLRACE_URL")]
VersionOption = Annotated[
    str, typer.Option(help="'' newest release's default, '3' release 3's default, '3-int8' exactly")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="seconds to wait for an answer", min=0.001)]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(help="key for a server that asks who calls; better as MILLRACE_API_KEY, which other users do not see"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
