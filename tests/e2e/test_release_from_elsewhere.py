"""A release made on another kind of machine: what is portable answers here, and `serve` says why nothing else does."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import httpx
import pytest

from host.instruction_sets import cpu_features
from model_store.manifest import Manifest, Target
from model_store.release import Release, archive_name, file_digest, manifest_name
from model_store.signing import Keyring
from model_store.store import Store
from tests.e2e.conftest import Released, Served, describe_scale
from training.release.cli import release_model
from training.release.content import MANIFEST_NAME

pytestmark = pytest.mark.slow  # it compiles a program and starts a TorchServe of its own

ELSEWHERE = "SVE" if "AVX512" in cpu_features() else "AVX512+VNNI"
WHY = f"built for cpu {ELSEWHERE}, and this CPU is {'+'.join(cpu_features())}, without {ELSEWHERE.replace('+', ', ')}"


def publish_as_from_elsewhere(release: Release, store: Store) -> None:
    """Publish a release as a machine with other instructions would have: what is bound to these is bound to those.

    The compiled variant is its default, as it is where the processor is the one that it was compiled for.
    """
    with store.building(release.model) as (number, folder):
        shutil.copytree(release.folder, folder, dirs_exist_ok=True)
        for variant, manifest in release.manifests.items():
            if manifest.target.capability:
                archive = folder / archive_name(release.model, number, variant)
                moved = move(manifest).model_dump_json(indent=2)
                (folder / manifest_name(release.model, number, variant)).write_text(moved)
                replace_manifest(archive, moved)
        digests = {
            kind: {variant: file_digest(folder / name(release.model, number, variant)) for variant in release.manifests}
            for kind, name in (("manifests", manifest_name), ("archives", archive_name))
        }
        store.publish(folder, release.index.model_copy(update=digests | {"default": "compiled"}))


def move(manifest: Manifest) -> Manifest:
    target = Target.model_validate(manifest.target.model_dump() | {"capability": ELSEWHERE})
    return manifest.model_copy(update={"target": target})


def replace_manifest(archive: Path, content: str) -> None:
    with zipfile.ZipFile(archive) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, content if name == MANIFEST_NAME else data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def released(folder):
    released = Released(folder / "store", folder / "keys")
    keyring = Keyring(released.keys)
    made = release_model(describe_scale(), Store(folder / "made", keyring), "cpu", ["eager", "compiled", "onnx"])
    assert made.manifests["compiled"].target.capability == "+".join(cpu_features())
    publish_as_from_elsewhere(made, Store(released.store, keyring))
    return released


def test_what_is_portable_answers_and_the_rest_is_left_out_with_a_reason(released, folder):
    served = Served(released, folder, "scale", "--variants=all")
    try:
        url = f"http://{served.http}/v1/scale"
        answer = httpx.post(url, content="[[1, 2, 3, 4]]").json()
        assert (answer["version"], answer["rows"]) == ("1-onnx", [{"y": [2, 4, 6, 8]}])
        assert httpx.get(f"http://{served.http}/v2/models/scale").json()["versions"] == ["1-onnx", "1-eager"]
        refused = httpx.post(f"{url}/1-compiled", content="[[1, 2, 3, 4]]")
        assert (refused.status_code, WHY in refused.json()["error"]) == (404, True)
        assert f"left out scale 1-compiled: {WHY}" in served.log.read_text()
    finally:
        served.stop()


def test_asking_for_what_this_machine_lacks_ends_before_anything_starts(released):
    command = released.command("scale", "--variants=compiled")
    done = subprocess.run(command, env=released.environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"serve: scale 1-compiled does not run here: {WHY}; here it has eager, onnx" in done.stderr
