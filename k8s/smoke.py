"""A first call to a fleet: each model answers a signed example, in the release and variant that were deployed."""

from __future__ import annotations

import time

import numpy as np

from model_store.manifest import Manifest
from services.client.client import Client


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
