"""A store of its own for each test, with releases made by hand."""

import numpy as np
import pytest

from model_store.golden import GoldenAnswer
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
    def add(model="net", **changes) -> int:
        left_out = {"bf16": "this CPU has no BF16 instructions"}
        return publish_release(store, model, left_out=left_out, **changes).number

    return add


@pytest.fixture
def golden():
    """Golden rows of net's two variants."""

    def answer(expected, tolerance):
        return GoldenAnswer(inputs=("x",), output="y", expected=expected, tolerance=tolerance)

    words = np.array([[b"one"], [b""]], np.object_)
    return {"eager": answer(np.ones((3, 2), np.float32), 0.001), "int8": answer(words, 0.0)}
