import re

import pytest
from rich.console import Console

from loadtests.bench.worker_start import measure_worker_start
from loadtests.subject import find_variant
from model_store.signing import Keyring
from model_store.store import Store
from tests.e2e.triton_models import release_triton_models


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worker")
    store = Store(folder / "store", Keyring(folder / "keys"))
    release_triton_models(store)
    return store.open("simple", 1)


def test_a_worker_without_torch_answers_soon_and_stays_small(release, capsys):
    console = Console(width=120)
    measure_worker_start(release, find_variant(release, "onnx"), repeats=1, console=console)
    out = capsys.readouterr().out
    assert re.search(r"worker of onnx: 0\.\d\d s of processor time to its first answer", out)  # with torch, seconds
    assert "reached worker of onnx, resident:" in out
    assert "(bar ≤ 250 MB)" in out
