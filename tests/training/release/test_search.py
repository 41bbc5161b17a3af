"""A network with an outlier channel: rounded as by default it fails the gate, and a search finds a way that passes."""

import numpy as np
import onnx
import pytest

from host.instruction_sets import cpu_features
from model_store.signing import Keyring
from model_store.store import Store
from training.release import search
from training.release.cli import release_model
from training.release.onnx_program import describe_onnx_program
from training.release.onnx_quantization import rank_layers
from training.release.rounding import Rounding, Trial
from training.release.search import choose, list_ways
from training.release.user_program import describe_user_program

# A channel a thousand times as large as the others, and no more important: the layer behind divides by it again.
OUTLIER = 1000.0
NETWORK = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 3, 8, 8] x) => (float[rows, 4, 8, 8] y)
{
    [n1] a = Conv <pads = [1, 1, 1, 1]> (x, first)
    [n2] b = Relu (a)
    [n3] c = Conv <pads = [1, 1, 1, 1]> (b, second)
    [n4] d = Relu (c)
    [n5] e = Conv <pads = [1, 1, 1, 1]> (d, third)
    [n6] f = Relu (e)
    [n7] y = Conv <pads = [1, 1, 1, 1]> (f, fourth)
}
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    generator = np.random.default_rng(0)
    weights = {
        name: (generator.standard_normal(shape) / np.sqrt(shape[1] * 9)).astype(np.float32)
        for name, shape in (
            ("first", (8, 3, 3, 3)),
            ("second", (8, 8, 3, 3)),
            ("third", (8, 8, 3, 3)),
            ("fourth", (4, 8, 3, 3)),
        )
    }
    weights["second"][0] *= OUTLIER
    weights["third"][:, 0] /= OUTLIER
    model = onnx.parser.parse_model(NETWORK)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(weight, name) for name, weight in weights.items())
    path = tmp_path_factory.mktemp("outlier") / "net.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(1).standard_normal((256, 3, 8, 8)).astype(np.float32)


def make_trial(rows_per_s, passed, low=0.0):
    return Trial(rounding="", difference=0.0, interval=(low, 0.1), rows_per_s=rows_per_s, passed=passed)


def test_the_fastest_that_passed_is_chosen_and_the_default_where_it_is_as_fast():
    assert choose([make_trial(96, True), make_trial(100, True)]) == 0
    assert choose([make_trial(90, True), make_trial(100, True)]) == 1
    assert choose([make_trial(300, False), make_trial(90, True), make_trial(100, True)]) == 2


def test_where_none_passed_the_nearest_to_it_is_chosen():
    assert choose([make_trial(300, False, -0.4), make_trial(90, False, -0.1), make_trial(100, False, -0.2)]) == 1


def test_the_layers_around_an_outlier_are_the_most_sensitive(network, rows):
    assert set(rank_layers(network, [[rows[:32]]])[:2]) == {"n3", "n5"}


def test_a_search_finds_what_the_default_misses_and_the_gate_judges_it_on_other_rows(network, rows, tmp_path):
    np.savez(tmp_path / "rows.npz", x=rows)
    spec = describe_onnx_program(network, "net", calibration=tmp_path / "rows.npz", margin=0.05)
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    plain = release_model(spec, store, "cpu", [])
    assert "onnx-int8" in plain.index.rejected
    assert plain.manifests["onnx-int8"].search is None
    found = release_model(spec, store, "cpu", [], search=True)
    manifest = found.manifests["onnx-int8"]
    assert "onnx-int8" in found.index.archives
    assert manifest.gate.passed
    default, *others = manifest.search.trials
    assert (default.rounding, default.passed) == ("ranges by extremes, weights of 7 bits", False)
    assert default.interval[1] < -spec.margin
    (chosen,) = (trial for trial in others if trial.is_chosen)
    assert chosen.passed
    assert "n3, n5 in floats" in chosen.rounding or "n5, n3 in floats" in chosen.rounding
    assert (manifest.quality.n, manifest.search.n) == (64, 64)
    assert (manifest.quality.dataset, manifest.search.dataset) == (
        "every second row of rows.npz, odd rows",
        "every second row of rows.npz, even rows",
    )
    assert found.manifests["onnx"].quality.n == 64


def test_what_a_compiler_makes_is_tried_by_ranges_and_by_layers_but_not_by_both():
    ways = [way["main"] for way in list_ways("int8", {"main": ["worst", "bad", "good"]})]
    assert [(way.ranges, way.in_floats, way.weight_bits) for way in ways] == [
        ("extremes", (), 8),
        ("percentile", (), 8),
        ("least error", ("worst",), 8),
        ("least error", ("worst", "bad"), 8),
    ]


def test_without_ranked_layers_ranges_are_tried_alone():
    ways = [way["main"] for way in list_ways("int8", {"main": []})]
    assert [(way.ranges, way.in_floats) for way in ways] == [("extremes", ()), ("percentile", ())]


def test_a_way_that_cannot_be_built_is_named_and_the_others_are_tried(network, rows, tmp_path, monkeypatch):
    ways = [{"main": Rounding(ranges=ranges)} for ranges in ("least error", "percentile")]  # onnxruntime lacks one
    monkeypatch.setattr(search, "list_ways", lambda variant, ranked: ways)
    np.savez(tmp_path / "rows.npz", x=rows)
    spec = describe_onnx_program(network, "net", calibration=tmp_path / "rows.npz", margin=0.05)
    release = release_model(spec, Store(tmp_path / "store", Keyring(tmp_path / "keys")), "cpu", [], search=True)
    found = release.manifests["onnx-int8"].search
    assert [trial.rounding for trial in found.trials] == [
        "ranges by extremes, weights of 7 bits",
        "ranges by percentile, weights of 7 bits",
    ]
    assert found.left_out == {"ranges by least error, weights of 7 bits": "KeyError: 'least error'"}


@pytest.mark.slow
def test_int8_is_searched_too(program_file, calibration_file, tmp_path):
    spec = describe_user_program(program_file, "net", calibration=calibration_file, margin=0.05)
    release = release_model(spec, Store(tmp_path / "store", Keyring(tmp_path / "keys")), "cpu", ["int8"], search=True)
    manifest = release.manifests["int8"]
    assert [trial.rounding for trial in manifest.search.trials][:3] == [
        "ranges by least error, weights of 8 bits",
        "ranges by extremes, weights of 8 bits",
        "ranges by percentile, weights of 8 bits",
    ]
    assert "in floats" in manifest.search.trials[3].rounding
    assert sum(trial.is_chosen for trial in manifest.search.trials) == 1
    assert manifest.target.capability.startswith(cpu_features()[0])
