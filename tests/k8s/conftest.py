"""A store of two releases made by hand, always the same bytes, and the fleet that is rendered from it."""

import json

import pytest

from k8s.checks import build_all
from k8s.kustomize import copy_sources
from k8s.planning import plan_models
from k8s.render import render_models, write_models
from k8s.settings import read_settings
from k8s.sizing import Demand
from model_store.signing import Keyring
from model_store.store import EXAMPLES_NAME, INDEX_NAME, SIGNATURE_NAME, Store, archive_name, file_digest, manifest_name

# What the demo measured on two cores; for the shape of the numbers only.
SPEEDS = {"classifier": (4058.7, 64, 1_802_073), "seq2seq": (212.4, 32, 9_650_331)}


def make_fields(model: str, release: int, variant: str, device: str, capability: str) -> dict:
    """A manifest as plain JSON: its bytes, and so the digests in what is rendered, follow no default of the classes."""
    rows_per_s, max_rows, size_bytes = SPEEDS[model]
    return {
        "format": 1,
        "model": model,
        "release": release,
        "variant": variant,
        "description": "a net",
        "created": "2026-01-01T00:00:00+00:00",
        "handler": "tensor",
        "programs": {"main": "programs/main/main.pt2"},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4], "meaning": "numbers"}],
        "input_sets": [["x"]],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2], "meaning": "numbers"}],
        "max_rows": max_rows,
        "quality": {
            "metric": "accuracy",
            "value": 0.9,
            "interval": [0.8, 0.95],
            "n": 100,
            "dataset": "test",
            "dataset_digest": "0" * 64,
        },
        "gate": {"rule": "any", "passed": True, "why": "it is the reference"},
        "speed": {
            "rows": max_rows // 2,
            "rows_per_s": rows_per_s if variant == "int8" else rows_per_s / 2,
            "single_row_ms": 2.0,
            "threads": 1,
            "host": "two cores",
        },
        "size_bytes": size_bytes,
        "target": {"device": device, "capability": capability, "torch_version": "2.13.0"},
        "files": {},
        "source": {"git_commit": "", "command": "release"},
    }


def add_release(store: Store, model: str, device: str = "cpu", capability: str = "AVX512+VNNI") -> None:
    """Write release 1 of a model into a store and sign it."""
    folder = store.root / model / "1"
    folder.mkdir(parents=True)
    for variant in ("eager", "int8"):
        fields = make_fields(model, 1, variant, device, capability)
        (folder / manifest_name(model, 1, variant)).write_text(json.dumps(fields))
        (folder / archive_name(model, 1, variant)).write_bytes(f"archive of {variant}".encode())
    (folder / EXAMPLES_NAME).write_bytes(b"examples")
    index = {
        "format": 1,
        "model": model,
        "release": 1,
        "default": "int8",
        "archives": {name: file_digest(folder / archive_name(model, 1, name)) for name in ("eager", "int8")},
        "manifests": {name: file_digest(folder / manifest_name(model, 1, name)) for name in ("eager", "int8")},
        "examples": file_digest(folder / EXAMPLES_NAME),
    }
    (folder / INDEX_NAME).write_text(json.dumps(index))
    (folder / SIGNATURE_NAME).write_bytes(store.keyring.sign((folder / INDEX_NAME).read_bytes()))


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    store = Store(folder / "archives", Keyring(folder / "keys"))
    for model in SPEEDS:
        add_release(store, model)
    return store


@pytest.fixture(scope="session")
def gpu_store(tmp_path_factory) -> Store:
    folder = tmp_path_factory.mktemp("gpu-store")
    store = Store(folder / "archives", Keyring(folder / "keys"))
    add_release(store, "classifier", "cuda", "sm_90")
    return store


def plan(store: Store, *names: str, device: str = "cpu", workers: int = 1, **demand):
    return plan_models(
        store,
        names,
        device=device,
        demands={"": Demand(**demand)},
        workers=workers,
        java_heap_mib=int(read_settings()["MILLRACE_JAVA_HEAP_MIB"]),
    )


@pytest.fixture(scope="session")
def sources(store, tmp_path_factory):
    """The room's manifests with models rendered from the store beside them."""
    root = tmp_path_factory.mktemp("sources")
    copy_sources(root)
    write_models(render_models(plan(store), read_settings()), root / "models")
    return root


@pytest.fixture(scope="session")
def fleets(sources) -> dict[str, list]:
    """The objects of every overlay, and of every component on top of `cpu`."""
    return dict(build_all(sources))
