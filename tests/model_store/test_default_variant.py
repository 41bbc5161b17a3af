from types import SimpleNamespace

import pytest

from model_store.default_variant import Objective, choose_default


def make_candidate(rows_per_s, single_row_ms, size_bytes):
    return SimpleNamespace(
        speed=SimpleNamespace(rows_per_s=rows_per_s, single_row_ms=single_row_ms), size_bytes=size_bytes
    )


@pytest.mark.parametrize(
    ("objective", "best"),
    [(Objective.THROUGHPUT, "compiled"), (Objective.LATENCY, "onnx"), (Objective.SIZE, "onnx-int8")],
)
def test_the_default_is_the_best_at_the_objective(objective, best):
    passed = {
        "eager": make_candidate(1, 3.0, 400),
        "compiled": make_candidate(9, 2.0, 500),
        "onnx": make_candidate(8, 1.0, 400),
        "onnx-int8": make_candidate(7, 1.5, 100),
    }
    assert choose_default(passed, objective) == best


def test_the_first_wins_among_equals():
    passed = {"eager": make_candidate(1, 1, 1), "compiled": make_candidate(1, 1, 1)}
    assert choose_default(passed, Objective.THROUGHPUT) == "eager"
