"""A first call to a fleet: each model answers a signed example, in the release and variant that were deployed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from k8s.planning import ModelPlan
from k8s.routes import host_name
from model_store.manifest import Manifest
from services.client.client import Client
from services.client.options import DEFAULT_URL
from services.client.tls import NO_TLS, Tls


@dataclass(frozen=True)
class Door:
    """Where a fleet is called, and what is shown there: nodes, or an edge, which knows each model by a name."""

    url: str  # host:port; '' = where the names lead
    domain: str  # the edge's; '' = no edge
    api_key: str | None = None
    tls: Tls = NO_TLS

    def call(self, plan: ModelPlan) -> Client:
        """Make a client for one model."""
        if not self.domain:
            return Client(self.url or DEFAULT_URL, api_key=self.api_key, tls=self.tls)
        host = host_name(plan, self.domain)
        address = self.tls.strip_scheme(self.url) if self.url else f"{host}:443"
        return Client(f"https://{address}", api_key=self.api_key, tls=self.tls, host=host)


def call_once(client: Client, manifest: Manifest, examples: dict[str, np.ndarray]) -> float:
    """Send one example row to exactly this version and return the call's seconds.

    Raises:
        ClientError: it is not served there, or does not answer.
        ValueError: the answer has not the rows or outputs that the manifest promises.
    """
    names = next(names for names in manifest.input_sets if examples.keys() & set(names))
    inputs = {name: examples[name][:1] for name in names if name in examples}
    started_s = time.perf_counter()
    outputs = client.infer(manifest.model, inputs, version=manifest.version)
    seconds = time.perf_counter() - started_s
    promised = set(manifest.default_outputs or (tensor.name for tensor in manifest.outputs))
    rows = {name: len(array) for name, array in outputs.items()}
    if outputs.keys() != promised or set(rows.values()) != {1}:
        raise ValueError(
            f"{manifest.model} {manifest.version} answered {rows} to one row; promised are {sorted(promised)}"
        )
    return seconds
