from model_store.frontier import Figures, figures_of, find_front
from tests.builders import make_manifest


def make_figures(quality=0.0, rows_per_s=100.0, single_row_ms=1.0, size_bytes=100):
    """Each figure is an interval, or a number that is known exactly."""
    quality, rows_per_s, single_row_ms = (
        figure if isinstance(figure, tuple) else (figure, figure) for figure in (quality, rows_per_s, single_row_ms)
    )
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


def test_what_no_interval_tells_apart_is_equal():
    variants = {
        "eager": make_figures(rows_per_s=(90.0, 110.0), size_bytes=400),
        "compiled": make_figures(rows_per_s=(100.0, 130.0), size_bytes=400),
        "smaller": make_figures(quality=(-0.01, 0.002), rows_per_s=(95.0, 108.0), size_bytes=399),
        "shown to be worse": make_figures(quality=(-0.01, -0.002), rows_per_s=(95.0, 125.0), size_bytes=399),
        "slower": make_figures(single_row_ms=(1.1, 1.2), rows_per_s=(95.0, 108.0), size_bytes=400),
    }
    assert find_front(variants) == ["smaller", "shown to be worse"]
    del variants["smaller"]
    assert find_front(variants) == ["eager", "compiled", "shown to be worse"]


def test_three_that_beat_each_other_in_a_circle_all_stay():
    wide, few, many = (0.0, 9.0), (1.0, 1.0), (2.0, 2.0)
    variants = {
        "a": make_figures(quality=many, rows_per_s=wide, single_row_ms=many),
        "b": make_figures(quality=few, rows_per_s=many, single_row_ms=wide),
        "c": make_figures(quality=wide, rows_per_s=few, single_row_ms=few),
    }
    assert [variants[one].beats(variants[other]) for one, other in ("ab", "bc", "ca")] == [True] * 3
    assert find_front(variants) == ["a", "b", "c"]
    variants["beaten by one of them"] = make_figures(quality=few, rows_per_s=few, single_row_ms=many)
    assert find_front(variants) == ["a", "b", "c"]


def test_figures_are_a_manifests_intervals_or_what_was_measured_where_it_is_older():
    manifest = make_manifest(variant="int8")
    old = figures_of(manifest.quality.paired, manifest.speed, manifest.size_bytes)
    assert old == make_figures(quality=(-0.003, 0.001), rows_per_s=100.0, single_row_ms=1.0, size_bytes=1_000_000)
    intervals = {"rows_per_s_interval": (98.0, 103.0), "single_row_ms_interval": (0.9, 1.2)}
    speed = manifest.speed.model_copy(update=intervals)
    assert figures_of(None, speed, 5) == make_figures(0.0, (98.0, 103.0), (0.9, 1.2), 5)
