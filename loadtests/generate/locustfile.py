"""What `loadtest ui` gives to Locust: its own command line, and users for one model of the store."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from loadtests.generate.users import GrpcUser, RestUser  # first: makes the process cooperative

import gevent  # isort: skip
from locust import events  # isort: skip

from loadtests.generate.payload import cut_batches, make_grpc_bodies, make_rest_bodies, read_rows
from loadtests.subject import find_variant
from model_store.settings import keys_folder
from model_store.signing import Keyring
from model_store.store import Store
from services.client.tls import Tls

__all__ = ["GrpcCaller", "RestCaller"]


class GrpcCaller(GrpcUser):
    """Calls over gRPC."""


class RestCaller(RestUser):
    """Calls over REST."""


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    """Add what the users need to know to Locust's own options."""
    parser.add_argument("--model", required=True, help="model in the store")
    parser.add_argument("--model-version", default="", help="'' newest release's default, '3-int8' exactly that")
    parser.add_argument("--store", default="model_store/archives", help="folder of the store")
    parser.add_argument("--grpc-url", default="localhost:8001", help="host:port of the gRPC door")
    parser.add_argument("--http-url", default="http://localhost:8000", help="URL of the REST door")
    # Locust's own --tls-cert and --tls-key are its web page's.
    for name, what in (("ca", "authorities to trust"), ("cert", "certificate of the callers"), ("key", "its key")):
        parser.add_argument(f"--caller-tls-{name}", type=Path, help=f"PEM {what}")
    parser.add_argument("--rows", type=int, default=1, help="rows in one request")


@events.init.add_listener
def prepare_users(environment: Any, **_: Any) -> None:
    """Give the users their addresses and requests."""
    options = environment.parsed_options
    release, variant = Store(Path(options.store), Keyring(keys_folder())).resolve(options.model, options.model_version)
    subject = find_variant(release, variant)
    version = subject.manifest.version
    batches = cut_batches(read_rows(subject.examples_path, subject.input_names), options.rows)
    GrpcCaller.host, RestCaller.host = options.grpc_url, options.http_url
    GrpcCaller.label = RestCaller.label = subject.name
    tls = Tls(ca=options.caller_tls_ca, certificate=options.caller_tls_cert, key=options.caller_tls_key)
    GrpcCaller.tls, RestCaller.ssl_context_factory = tls, tls.make_context
    GrpcCaller.bodies = make_grpc_bodies(options.model, version, batches)
    RestCaller.bodies = make_rest_bodies(batches)
    RestCaller.path = f"/v2/models/{options.model}/versions/{version}/infer"
    # Imports and the store's signatures have kept the event loop from running, so that its clock is seconds behind: the
    # timer of --run-time, which Locust starts next, would end the run by so much too early.
    gevent.get_hub().loop.update_now()
