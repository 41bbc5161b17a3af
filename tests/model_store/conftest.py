"""Releases made by hand: everything a store looks at, without a model."""

from pathlib import Path

import numpy as np
import pytest

from model_store.manifest import Manifest, ReleaseIndex
from model_store.signing import Keyring
from model_store.store import EXAMPLES_NAME, Store, archive_name, file_digest, manifest_name, write_examples


def make_manifest(model="net", release=1, variant="eager", **changes) -> Manifest:
    fields = {
        "model": model,
        "release": release,
        "variant": variant,
        "description": "a net",
        "created": "2026-01-01T00:00:00+00:00",
        "kind": "tensor",
        "programs": {"main": "programs/main/main.pt2"},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4], "meaning": "numbers"}],
        "input_sets": [["x"]],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2], "meaning": "numbers"}],
        "max_rows": 8,
        "quality": {
            "metric": "accuracy",
            "value": 0.9,
            "interval": [0.8, 0.95],
            "n": 100,
            "dataset": "test",
            "dataset_digest": "0" * 64,
        },
        "gate": {"rule": "any", "passed": True, "why": "it is the reference"},
        "speed": {"rows": 8, "rows_per_s": 100.0, "single_row_ms": 1.0, "threads": 1, "host": "here"},
        "size_bytes": 10,
        "target": {"device": "cpu", "capability": "", "torch_version": "2.13.0"},
        "files": {},
        "source": {"git_commit": "", "command": "release"},
    }
    return Manifest.model_validate(fields | changes)


def fill(folder: Path, model: str, number: int, variants=("eager", "int8")) -> ReleaseIndex:
    """Write all files of a release but its index; the last variant is the default."""
    archives, manifests = {}, {}
    for variant in variants:
        path = folder / manifest_name(model, number, variant)
        path.write_text(make_manifest(model, number, variant).model_dump_json())
        manifests[variant] = file_digest(path)
        archive = folder / archive_name(model, number, variant)
        archive.write_bytes(f"archive of {variant}".encode())
        archives[variant] = file_digest(archive)
    write_examples(folder / EXAMPLES_NAME, {"x": np.ones((3, 4), np.float32)})
    return ReleaseIndex(
        model=model,
        release=number,
        default=variants[-1],
        archives=archives,
        manifests=manifests,
        left_out={"bf16": "this CPU has no BF16 instructions"},
        examples=file_digest(folder / EXAMPLES_NAME),
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "archives", Keyring(tmp_path / "keys"))


@pytest.fixture(name="make_manifest")
def make_manifest_fixture():
    return make_manifest


@pytest.fixture(name="fill")
def fill_fixture():
    return fill


@pytest.fixture(name="add_release")
def add_release_fixture(store):
    def add(model="net", variants=("eager", "int8")) -> int:
        with store.building(model) as (number, folder):
            store.publish(folder, fill(folder, model, number, variants))
        return number

    return add
