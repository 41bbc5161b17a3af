"""Real rows through both doors: REST and gRPC must give the same answer."""

from __future__ import annotations

import numpy as np

from loadtests.addresses import Addresses
from loadtests.generate.payload import cut_batches, make_rest_bodies, read_rows
from loadtests.generate.rest import infer_rest
from loadtests.measure.answer import show_answer
from loadtests.results import Agreement
from loadtests.subject import Subject
from services.client import Client

TIMEOUT_S = 60.0


def compare_doors(subject: Subject, addresses: Addresses) -> Agreement:
    """Send the example rows of a variant one by one through gRPC and REST.

    Raises:
        ValueError: a REST answer has other outputs, shapes or texts than the gRPC answer.
    """
    manifest = subject.manifest
    batches = cut_batches(read_rows(subject.examples_path, subject.input_names), 1)
    largest = 0.0
    answers = []
    with Client(addresses.grpc, timeout_s=TIMEOUT_S, tls=addresses.tls) as client:
        for batch, body in zip(batches, make_rest_bodies(batches), strict=True):
            over_grpc = client.infer(manifest.model, batch, version=manifest.version)
            over_rest = infer_rest(addresses, manifest.model, manifest.version, body, timeout_s=TIMEOUT_S)
            answers.append(over_grpc)
            largest = max(largest, _compare(subject.name, over_grpc, over_rest))
    first = show_answer(manifest.version, batches[0], answers[0])
    return Agreement(first=first, rows=len(batches), largest_difference=largest)


def _compare(name: str, over_grpc: dict[str, np.ndarray], over_rest: dict[str, np.ndarray]) -> float:
    if over_grpc.keys() != over_rest.keys():
        raise ValueError(f"{name}: gRPC answers {sorted(over_grpc)}, REST {sorted(over_rest)}")
    largest = 0.0
    for output, array in over_grpc.items():
        other = over_rest[output]
        if array.dtype != other.dtype or array.shape != other.shape:
            raise ValueError(
                f"{name}: {output} is {array.dtype}{array.shape} over gRPC, {other.dtype}{other.shape} over REST"
            )
        if array.dtype != np.object_:
            largest = max(largest, float(np.abs(array.astype(np.float64) - other.astype(np.float64)).max(initial=0)))
        elif not np.array_equal(array, other):
            raise ValueError(f"{name}: {output} is {array.ravel()[:3]} over gRPC, {other.ravel()[:3]} over REST")
    return largest
