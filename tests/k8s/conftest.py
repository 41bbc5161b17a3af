"""A store of two releases made by hand, always the same bytes, and the fleet that is rendered from it."""

import json

import pytest

from k8s.checks import build_all
from k8s.kustomize import copy_sources
from k8s.planning import GPU, plan_models
from k8s.render import render_models, write_models
from k8s.settings import read_settings
from k8s.sizing import Demand
from model_store.release import EXAMPLES_NAME, INDEX_NAME, SIGNATURE_NAME, archive_name, file_digest, manifest_name
from model_store.signing import Keyring
from model_store.store import Store
from tests.k8s.fields import SPEEDS, make_fields


def add_release(
    store: Store,
    model: str,
    device: str = "cpu",
    capability: str = "AVX512+VNNI",
    portable: tuple[str, ...] = (),
) -> None:
    """Write release 1 of a model into a store and sign it; `portable` variants need no torch, the last is fastest."""
    variants = ("eager", "int8", *portable)
    folder = store.root / model / "1"
    folder.mkdir(parents=True)
    for variant in variants:
        fields = make_fields(model, 1, variant, device, capability)
        if variant in portable:
            fields["target"]["torch_version"] = ""
            fields["speed"]["rows_per_s"] = 100.0 * (1 + portable.index(variant))
        (folder / manifest_name(model, 1, variant)).write_text(json.dumps(fields))
        (folder / archive_name(model, 1, variant)).write_bytes(f"archive of {variant}".encode())
    (folder / EXAMPLES_NAME).write_bytes(b"examples")
    index = {
        "format": 1,
        "model": model,
        "release": 1,
        "default": "int8",
        "archives": {name: file_digest(folder / archive_name(model, 1, name)) for name in variants},
        "manifests": {name: file_digest(folder / manifest_name(model, 1, name)) for name in variants},
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


def plan(
    store: Store,
    *names: str,
    device: str = "cpu",
    workers: int = 1,
    engine: str = "",
    canaries=None,
    gpu_resource=GPU,
    **demand,
):
    return plan_models(
        store,
        names,
        device=device,
        demands={"": Demand(**demand)},
        workers=workers,
        java_heap_mib=int(read_settings()["MILLRACE_JAVA_HEAP_MIB"]),
        engine=engine,
        canaries=canaries or {},
        gpu_resource=gpu_resource,
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
