"""A manifest, a variant and an engine for the gateway's tests."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

from handlers.worker import Worker
from model_store.golden import GoldenAnswer
from model_store.interface import Parameter, Tensor
from model_store.manifest import Manifest
from model_store.open_inference import (
    WORKER_ENDED_NS,
    WORKER_PROCESS,
    WORKER_STARTED_NS,
    WORKER_TIMES,
    messages,
)
from model_store.tensors import decode_raw, encode_raw
from services.catalogue import Catalogue, ServedVariant
from services.gateway.core import Gateway
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferAnswer, InferRequest
from tests import builders


def make_manifest(**changes: object) -> Manifest:
    """A model that doubles `x`, or takes `text` instead; `gain` multiplies."""
    values = {
        "inputs": (
            Tensor(name="x", datatype="FP32", shape=(-1, 2), meaning="two numbers", minimum=-100, maximum=100),
            Tensor(name="text", datatype="BYTES", shape=(-1,), meaning="a text", max_element_bytes=8),
            Tensor(name="weight", datatype="FP32", shape=(-1,), meaning="a weight", optional=True),
        ),
        "input_sets": (("x", "weight"), ("text",)),
        "outputs": (
            Tensor(name="y", datatype="FP32", shape=(-1, 2), meaning="twice x"),
            Tensor(name="label", datatype="BYTES", shape=(-1,), meaning="a name"),
        ),
        "parameters": (
            Parameter(name="top_k", kind="int64", meaning="how many", minimum=1, maximum=5),
            Parameter(name="gain", kind="double", meaning="factor"),
            Parameter(name="mode", kind="string", meaning="how", choices=("fast", "slow")),
            Parameter(name="flip", kind="bool", meaning="whether"),
        ),
        "max_rows": 4,
    }
    return builders.make_manifest(**({"model": "double", "release": 3} | values | changes))


@pytest.fixture
def manifest() -> Manifest:
    return make_manifest()


@pytest.fixture
def variant(manifest: Manifest, tmp_path: Path) -> ServedVariant:
    return make_variant(manifest, tmp_path)


def make_variant(manifest: Manifest, folder: Path, *golden: GoldenAnswer, release_digest: str = "") -> ServedVariant:
    """A variant with examples, but without an archive."""
    examples = folder / "examples.npz"
    np.savez(examples, x=np.ones((3, 2), np.float32), weight=np.ones(3, np.float32))
    archive = folder / "none.mar"
    return ServedVariant(
        manifest=manifest,
        archive=archive,
        examples=examples,
        is_default=True,
        golden=golden,
        release_digest=release_digest,
    )


class DoublingBackend:
    """An engine in this process: answers y = factor · x, one call at a time per slot, and does what a test wants."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.batches: list[list[list[float]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.before_answer: Callable[[np.ndarray], None] = lambda rows: None
        self.factor = 2
        self.factors: dict[int, int] = {}  # of workers that compute something else
        self.row_error: Callable[[np.ndarray], str] = lambda row: ""
        self.is_ready = True
        self.first_worker = 1
        self.choose_worker: Callable[[], int] | None = None  # none: the workers do not tell who they are

    async def predict(self, variant: ServedVariant, request: bytes) -> bytes:
        message = messages().ModelInferRequest.FromString(request)
        worker = self.choose_worker() if self.choose_worker and WORKER_TIMES in message.parameters else None
        tensor = message.inputs[0]
        rows = decode_raw(message.raw_input_contents[0], tensor.datatype, tuple(tensor.shape))
        self.batches.append(rows.tolist())
        await self.gate.wait()
        self.before_answer(rows)
        factor = self.factor if worker is None else self.factors.get(worker, self.factor)
        response = messages().ModelInferResponse()
        response.outputs.add(name="y", datatype=tensor.datatype, shape=rows.shape)
        response.raw_output_contents.append(encode_raw(factor * rows))
        errors = [self.row_error(row) for row in rows]
        if any(errors):
            response.outputs.add(name="row_errors", datatype="BYTES", shape=[len(rows)])
            response.raw_output_contents.append(encode_raw(np.array(errors, np.object_)))
        if worker is not None:
            response.parameters[WORKER_STARTED_NS].int64_param = response.parameters[WORKER_ENDED_NS].int64_param = 1
            response.parameters[WORKER_PROCESS].int64_param = worker
        data: bytes = response.SerializeToString()
        return data

    def ready_workers(self, variant: ServedVariant) -> frozenset[int]:
        return frozenset(range(self.first_worker, self.first_worker + self.workers)) if self.is_ready else frozenset()

    def num_slots(self, variant: ServedVariant) -> int:
        return self.workers


class WorkerBackend:
    """An engine whose worker is the real one, in this process, with a handler that a test brings."""

    def __init__(self, handler: Any) -> None:
        self.worker = Worker(handler)

    async def predict(self, variant: ServedVariant, request: bytes) -> bytes:
        await asyncio.sleep(0)
        return self.worker.answer_packed(request)

    def ready_workers(self, variant: ServedVariant) -> frozenset[int]:
        return frozenset({1})

    def num_slots(self, variant: ServedVariant) -> int:
        return 1


@pytest.fixture
async def backend() -> DoublingBackend:
    return DoublingBackend()


@pytest.fixture
async def gateway(variant: ServedVariant, backend: DoublingBackend) -> Gateway:
    return Gateway(Catalogue([variant]), backend, GatewaySettings(max_body_mib=1))


@pytest.fixture
def seen(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[InferRequest]:
    """Requests as the core gets them."""
    requests: list[InferRequest] = []
    infer = gateway.infer

    async def spy(request: InferRequest) -> InferAnswer:
        requests.append(request)
        return await infer(request)

    monkeypatch.setattr(gateway, "infer", spy)
    return requests


class Clock:
    """A clock that stands still but for what a test adds to `now_s`."""

    def __init__(self) -> None:
        self.now_s = monotonic()

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The gateway's clock from arrival to answer, in a test's hands."""
    clock = Clock()
    for module in ("access_log", "answering", "batching", "journal", "served_model", "waiting"):
        monkeypatch.setattr(f"services.gateway.{module}.monotonic", clock)
    return clock
