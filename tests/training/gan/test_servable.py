"""A finished run, described for release and served by the handler that its archive names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from handlers.archive import open_handler
from tests.training.gan.conftest import TINY
from training.gan.network import build_generator
from training.gan.servable import _describe_program, describe_release, load_generator
from training.release.baseline import compare_with_baseline
from training.release.capture import capture
from training.release.content import lay_out
from training.release.gate import judge
from training.release.measurement import compare, measure_quality

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


@pytest.fixture(scope="module")
def handler(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("content")
    torch.export.save(capture(spec.programs["main"], CPU), folder / "main.pt2")
    target = {"device": "cpu", "capability": "", "torch_version": torch.__version__.partition("+")[0]}
    archive = folder / "archive"
    archive.mkdir()
    lay_out(archive, spec, release=1, variant="eager", programs={"main": folder / "main.pt2"}, target=target)
    return open_handler(archive, "cpu")


def test_the_hint_draws_a_class_that_the_release_has(spec):
    words = spec.usage.split()
    assert words[words.index("--label") + 1] in spec.handler_options["labels"]


def test_the_gate_measures_the_handler_against_a_margin_of_five_percent(spec, handler):
    measured = measure_quality(handler, spec.held_out, spec.max_rows)
    assert measured.value < 0
    assert measured.interval[0] <= measured.interval[1] < 0
    assert 0.02 < spec.margin / -measured.value < 0.1
    comparison = compare(measured, measured, spec.held_out, "eager")
    assert comparison.interval == (0, 0)
    assert judge(comparison, spec.margin).passed


def test_a_generator_of_a_few_steps_is_no_better_than_pixels_drawn_each_by_itself(spec, handler):
    finding = compare_with_baseline(measure_quality(handler, spec.held_out, spec.max_rows), spec.held_out)
    assert finding.interval[1] < 0


def test_seeds_give_the_same_image_alone_and_in_a_batch(spec, handler):
    inputs = {"seed": np.arange(32), "label": np.arange(32) % 10}
    together = handler.infer(inputs, {}).arrays["image"]
    for row in (0, 7, 31):
        alone = handler.infer({name: array[row : row + 1] for name, array in inputs.items()}, {}).arrays["image"][0]
        # oneDNN may choose another kernel for another batch size; a value on the edge then rounds to its neighbour.
        assert np.abs(together[row].astype(int) - alone.astype(int)).max() <= 1
    assert together.dtype == np.uint8
    assert together.shape == (32, 16, 16, 1)


def test_every_input_set_is_answered(spec, handler):
    rows = {
        "seed": np.array([1, 2]),
        "latent": np.zeros((2, 8), np.float32),
        "label": np.array([3, 4]),
        "label_name": np.array([b"3", b"4"], np.object_),
    }
    images = {}
    for names in spec.input_sets:
        outputs = handler.infer({name: rows[name] for name in names}, {})
        assert not any(outputs.row_errors), names
        images[names] = outputs.arrays["image"]
    np.testing.assert_array_equal(images["seed", "label"], images["seed", "label_name"])
    assert {name for names in spec.input_sets for name in names} == {tensor.name for tensor in spec.inputs}


def test_an_unfinished_run_is_refused(finished_run, tmp_path):
    (tmp_path / "run.json").write_text((finished_run / "run.json").read_text())
    with pytest.raises(FileNotFoundError, match="did not finish"):
        load_generator(tmp_path)


def test_a_style_based_generator_exports_with_closeness_of_its_own_input():
    recipe = replace(TINY, generator="style", style_size=12, num_mappings=2)
    torch.manual_seed(0)
    generator = build_generator(recipe, (16, 16, 1), 10).eval().requires_grad_(False)
    spec = _describe_program(generator, recipe, "cpu")
    exported = capture(spec, CPU).module()
    assert [len(tensor) for tensor in spec.example_inputs] == [4, 4, 4]
    for count in (1, 5):
        rows = torch.randn(count, 8), torch.rand(count), torch.arange(count)
        torch.testing.assert_close(exported(*rows), spec.module(*rows), atol=1, rtol=0)
