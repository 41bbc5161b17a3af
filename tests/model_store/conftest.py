"""A store of its own for each test, with releases made by hand."""

import pytest

from model_store.signing import Keyring
from model_store.store import Store
from tests.builders import make_manifest, publish_release


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "archives", Keyring(tmp_path / "keys"))


@pytest.fixture(name="make_manifest")
def make_manifest_fixture():
    return make_manifest


@pytest.fixture(name="add_release")
def add_release_fixture(store):
    def add(model="net") -> int:
        return publish_release(store, model, left_out={"bf16": "this CPU has no BF16 instructions"}).number

    return add
