"""A real TorchServe behind a real gateway, with three small released models, once for all tests here."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from host.ports import find_free_ports
from model_store.signing import Keyring
from model_store.store import Store
from services.example_requests import build_example_requests
from services.selection import select_variants
from tests.e2e.start import watch_start
from tests.handlers.conftest import describe_brightness
from training.release.cli import release_model
from training.release.content import describe
from training.release.spec import HeldOut, ProgramSpec, ReleaseSpec, TensorSpec


class Scale(torch.nn.Module):
    """Multiply x [N, 4]."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def describe_scale(factor: float = 2) -> ReleaseSpec:
    rows = np.random.default_rng(0).uniform(-1, 1, (8, 4)).astype(np.float32)
    return ReleaseSpec(
        name="scale",
        description="doubles four numbers",
        kind="tensor",
        programs={
            "main": ProgramSpec(
                module=Scale(factor),
                example_inputs=(torch.from_numpy(rows),),
                dynamic_shapes=({0: torch.export.Dim("rows", min=1, max=32)},),
            )
        },
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 4), meaning="numbers", minimum=-1000, maximum=1000),),
        input_sets=(("x",),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1, 4), meaning="twice x"),),
        held_out=HeldOut(
            inputs={"x": rows}, score=lambda outputs: np.ones(len(rows)), metric="agreement", dataset="random"
        ),
        margin=0.1,
        max_rows=32,
    )


def describe_shades() -> ReleaseSpec:
    """A second classifier, under a name of its own: other words for how bright an image is.

    It is released as before workers had sockets: TorchServe conveys its calls.
    """
    spec = describe_brightness()
    return replace(spec, name="shades", handler_options=spec.handler_options | {"labels": ["black", "grey", "white"]})


@dataclass(frozen=True)
class Released:
    """A store with the models `scale`, `brightness` and `shades`, and the keys that signed them."""

    store: Path
    keys: Path

    def command(self, *arguments: str) -> list[str]:
        serve = str(Path(sys.executable).with_name("serve"))
        return [serve, *arguments, "--store", str(self.store), "--device", "cpu", "--threads", "1"]

    @cached_property
    def requests(self) -> dict[str, bytes]:
        """A request of one row for each model."""
        catalogue = select_variants(Store(self.store, Keyring(self.keys)), [], ["default"], "cpu")
        return {variant.model: build_example_requests(variant, 1)[0] for variant in catalogue.variants}

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"MILLRACE_KEYS": str(self.keys)}


@pytest.fixture(scope="session")
def released(tmp_path_factory) -> Released:
    folder = tmp_path_factory.mktemp("released")
    released = Released(folder / "store", folder / "keys")
    store = Store(released.store, Keyring(released.keys))
    for spec in (describe_scale(), describe_brightness()):
        release_model(spec, store, "cpu", ["eager"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.release.content.describe", lambda *a, **k: describe(*a, **k) | {"own_socket": False})
        release_model(describe_shades(), store, "cpu", ["eager"])
    return released


class Served:
    """A running `serve` and its addresses."""

    def __init__(self, released: Released, folder: Path, *arguments: str, becomes_ready: bool = True) -> None:
        self.log = folder / "serve.log"
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        http, grpc, metrics = find_free_ports(3)
        ports = [f"--http-port={http}", f"--grpc-port={grpc}", f"--metrics-port={metrics}"]
        self.http, self.grpc = f"127.0.0.1:{http}", f"127.0.0.1:{grpc}"
        self.metrics = f"http://127.0.0.1:{metrics}/metrics"
        addresses = {"http": f"http://{self.http}", "grpc": self.grpc, "metrics": self.metrics}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                released.command(*arguments, *ports, "--ready-file", str(ready)),
                env=released.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        requests = {model: request for model, request in released.requests.items() if model in (arguments or (model,))}
        if becomes_ready:
            self.start = watch_start(self.process, addresses, requests, self.log)
        while not ready.exists():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.01)
        assert json.loads(ready.read_text())["ports"] == {"http": http, "grpc": grpc, "metrics": metrics}

    def processes(self) -> list[psutil.Process]:
        """The serving process and all below it."""
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def workers(self, model: str) -> list[psutil.Process]:
        """The worker processes of a model."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):  # it ended meanwhile
                if any("fork_server.py" in part for part in process.cmdline()):
                    found += [process] if f"{model}-1-eager" in str(Path(process.cwd()).resolve()) else []
        return found

    def stop(self, how: int = signal.SIGINT, timeout_s: float = 30) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout_s)


@pytest.fixture(scope="session")
def served(released, tmp_path_factory):
    served = Served(released, tmp_path_factory.mktemp("served"))
    yield served
    served.stop()
