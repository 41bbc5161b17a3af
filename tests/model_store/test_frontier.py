from model_store.frontier import Figures, figures_of, find_front
from tests.builders import make_manifest

PAIRED = {"name": "McNemar", "reference": "eager"}


def make_figures(quality=0.0, rows_per_s=100.0, single_row_ms=1.0, size_bytes=100):
    return Figures(quality=quality, rows_per_s=rows_per_s, single_row_ms=single_row_ms, size_bytes=size_bytes)


def test_a_variant_that_another_equals_in_all_and_beats_in_one_is_not_on_the_front():
    variants = {
        "eager": make_figures(),
        "compiled": make_figures(rows_per_s=150.0, size_bytes=120),
        "onnx": make_figures(rows_per_s=140.0, size_bytes=100),
        "int8": make_figures(quality=-0.01, rows_per_s=300.0, single_row_ms=2.0, size_bytes=30),
    }
    assert find_front(variants) == ["compiled", "onnx", "int8"]


def test_each_objective_alone_keeps_its_best_on_the_front():
    variants = {
        "best": make_figures(quality=0.01),
        "fast": make_figures(rows_per_s=101.0),
        "quick": make_figures(single_row_ms=0.9),
        "small": make_figures(size_bytes=99),
        "none of it": make_figures(),
    }
    assert find_front(variants) == ["best", "fast", "quick", "small"]


def test_equals_stay_together_on_the_front():
    assert find_front({"a": make_figures(), "b": make_figures()}) == ["a", "b"]


def test_a_difference_in_quality_counts_only_where_it_is_shown():
    unsure, worse = ({"difference": -0.01, "interval": ends} for ends in ((-0.03, 0.01), (-0.015, -0.005)))
    quality = make_manifest().quality.model_dump()
    for paired, expected in ((unsure, 0.0), (worse, -0.01)):
        manifest = make_manifest(variant="int8", quality=quality | {"paired": PAIRED | paired})
        assert figures_of(manifest).quality == expected
    assert figures_of(make_manifest()).quality == 0.0
