"""What commands have in common: to whom they connect, and the options that say so."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from services.client.client import Client
from services.client.options import (
    DEFAULT_REST_URL,
    DEFAULT_URL,
    ApiKeyOption,
    RestUrlOption,
    TimeoutOption,
    TlsCaOption,
    TlsCertOption,
    TlsKeyOption,
    UrlOption,
)
from services.client.rest_client import RestClient
from services.client.tls import Tls

Connect = Callable[[], Client]
ConnectByRest = Callable[[], RestClient]


def open_client(
    url: UrlOption = DEFAULT_URL,
    timeout_s: TimeoutOption = 30.0,
    api_key: ApiKeyOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
) -> Client:
    """Open a client; its parameters are the options of every command."""
    return Client(url, timeout_s=timeout_s, api_key=api_key, tls=Tls(ca=tls_ca, certificate=tls_cert, key=tls_key))


def open_rest_client(
    url: RestUrlOption = DEFAULT_REST_URL,
    timeout_s: TimeoutOption = 120.0,
    api_key: ApiKeyOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
) -> RestClient:
    """The same of a server's REST; an explanation's first answer takes longer than others."""
    return RestClient(url, timeout_s=timeout_s, api_key=api_key, tls=Tls(ca=tls_ca, certificate=tls_cert, key=tls_key))


def connecting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `open_client` in place of its parameter `connect`, which opens that client."""
    return _take_options(command, open_client)


def connecting_by_rest(command: Callable[..., None]) -> Callable[..., None]:
    """The same with `open_rest_client`."""
    return _take_options(command, open_rest_client)


def _take_options(command: Callable[..., None], opens: Callable[..., Any]) -> Callable[..., None]:
    options = inspect.signature(opens, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in options}
        command(**given, connect=functools.partial(opens, **chosen))

    merged: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        merged += options.values() if parameter.name == "connect" else [parameter]
    merged = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in merged]  # typer calls by name
    vars(run)["__signature__"] = own.replace(parameters=merged)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in merged}
    return run
