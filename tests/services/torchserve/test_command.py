from pathlib import Path

import pytest

from services.catalogue import ServedVariant
from services.torchserve.command import build_environment, list_shared_modules
from services.torchserve.run_folder import RunFolder
from tests.builders import make_manifest


@pytest.fixture
def folder():
    folder = RunFolder.create()
    yield folder
    folder.remove()


def test_a_workers_threads_wait_without_burning_their_cores(folder, monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    environment = build_environment(2, folder)
    names = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    assert [environment[name] for name in names] == ["2", "PASSIVE", "10000"]


def test_whoever_runs_the_server_may_let_them_burn(folder, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert build_environment(1, folder)["OMP_WAIT_POLICY"] == "ACTIVE"


def test_what_would_change_torchserve_stays_outside(folder, monkeypatch):
    for name in ("PYTHONPATH", "TS_CONFIG_FILE"):
        monkeypatch.setenv(name, "elsewhere")
    assert not {"PYTHONPATH", "TS_CONFIG_FILE"} & set(build_environment(1, folder))


def test_workers_know_where_large_tensors_are(folder):
    assert build_environment(1, folder)["MILLRACE_SHARED"] == str(folder.shared)


def test_a_server_of_portable_programs_imports_no_torch():
    portable = make_variant("net.onnx", torch_version="")
    bound = make_variant("net.so", torch_version="2.13.0")
    alone, mixed = (list_shared_modules(variants) for variants in ([portable], [portable, bound]))
    assert alone[0] == "host.deferred_torch"
    assert "torch" not in alone
    assert "torch" in mixed
    assert {"onnxruntime", "ts.model_service_worker"} <= {*alone} & {*mixed}


def test_nothing_is_forked_for_gpus():
    assert list_shared_modules([make_variant("net.pt2", torch_version="2.13.0", device="cuda")]) is None


def make_variant(program, torch_version, device="cpu"):
    target = {"device": device, "capability": "", "torch_version": torch_version}
    manifest = make_manifest(programs={"main": program}, target=target)
    return ServedVariant(manifest=manifest, archive=Path(), examples=Path(), is_default=True)
