import pytest

from model_store.tuning import write_tuning
from services.tuning import find_tuned
from tests.builders import make_host_class, make_tuning

TUNED = {"workers": 2, "threads": 1, "max_batch_rows": 4, "batches_per_worker": 1}


@pytest.fixture
def root(tmp_path):
    for model in ("net", "other"):
        (tmp_path / model).mkdir()
    write_tuning(tmp_path, make_tuning())
    return tmp_path


def test_serve_starts_as_tuned_and_says_so(root):
    values, said = find_tuned(root, ["net"], [make_host_class()], {})
    assert values == TUNED
    assert said == (
        "as tuned for net on 2026-01-01: workers 2, threads 1, max_batch_rows 4, batches_per_worker 1 "
        "(600 rows/s within 50 ms, 400 without)"
    )


def test_what_somebody_said_comes_first(root, monkeypatch):
    monkeypatch.setenv("MILLRACE_THREADS", "2")
    values, said = find_tuned(root, ["net"], [make_host_class()], {"workers": 1})
    assert values == {"max_batch_rows": 4, "batches_per_worker": 1}
    assert "workers" not in said.partition("batches_per_worker")[0]


def test_another_class_of_host_and_another_model_are_served_as_ever(root):
    assert find_tuned(root, ["net"], [make_host_class(cores=64)], {}) == ({}, "")
    assert find_tuned(root, ["other"], [make_host_class()], {}) == ({}, "")


def test_models_that_were_tuned_differently_are_not_served_as_tuned(root):
    values, said = find_tuned(root, ["net", "other"], [make_host_class()], {})
    assert (values, "not as tuned" in said) == ({}, True)
    write_tuning(root, make_tuning(model="other"))
    assert find_tuned(root, ["net", "other"], [make_host_class()], {})[0] == TUNED


def test_what_was_tuned_on_the_gpu_comes_before_what_was_tuned_on_the_same_machines_cpu(root):
    gpu, cpu = make_host_class(accelerator="NVIDIA H100"), make_host_class()
    settings = TUNED | {"workers": 4}
    write_tuning(root, make_tuning(host=gpu, settings=settings))
    assert find_tuned(root, ["net"], [gpu, cpu], {})[0] == settings
    assert find_tuned(root, ["net"], [cpu], {})[0] == TUNED
