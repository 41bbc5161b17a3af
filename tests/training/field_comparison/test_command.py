"""`train KIND choices FIELD`, with trainings of one step."""

from __future__ import annotations

import json
import math

import pytest
from typer.testing import CliRunner

from training.cli import app
from training.csi_feedback.recipe import DEMO
from training.field_comparison.command import format_table
from training.field_comparison.comparing import compare_choices, list_choices

SIZES = ("num_taps=8", "num_antennas=8", "num_fit=60", "num_validation=20", "num_test=20", "steps=1")


@pytest.fixture
def choose(tmp_path, monkeypatch):
    monkeypatch.setattr("training.csi_feedback.session.evaluate_run", lambda run, data: {})

    def call(*arguments):
        changes = [word for size in (*SIZES, "network=csinet") for word in ("--set", size)]
        return CliRunner().invoke(
            app, ["csi_feedback", "choices", "normalization", "--out", str(tmp_path), *changes, *arguments]
        )

    return call


def test_every_choice_is_trained_from_every_seed_and_paired_with_the_first(choose, tmp_path):
    result = choose("--seeds", "2")
    assert result.exit_code == 0, result.output
    names = ("batch", "layer", "group", "instance")
    runs = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("*/run.json")}
    assert set(runs) == {f"{name}-{seed}" for name in names for seed in (0, 1)}
    assert all(run["recipe"]["normalization"] == name.partition("-")[0] for name, run in runs.items())
    rows = [line.strip("|").split("|") for line in (tmp_path / "choices.md").read_text().splitlines()[2:]]
    assert [row[0].strip() for row in rows] == list(names)
    assert ["…" in row[2] for row in rows] == [False, True, True, True]
    assert (tmp_path / "choices.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_goes_on_and_another_recipe_is_refused(choose, tmp_path):
    assert choose("--only", "batch", "--only", "group", "--seeds", "1").exit_code == 0
    before = (tmp_path / "batch-0" / "run.json").stat().st_mtime_ns
    result = choose("--only", "batch", "--only", "group", "--seeds", "2")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "batch-0" / "run.json").stat().st_mtime_ns == before
    assert (tmp_path / "group-1" / "last_validation.json").exists()
    result = choose("--only", "batch", "--set", "lr=0.5")
    assert result.exit_code == 2
    assert "batch-0 was trained with another recipe; say another --out" in result.output


def test_a_field_that_is_no_choice_names_those_that_are():
    assert list_choices(DEMO, "start") == ("principal", "random")
    with pytest.raises(
        ValueError, match="'lr' is no field with a choice of words; those of this kind: network, start,"
    ):
        list_choices(DEMO, "lr")


def test_differences_are_bounded_by_students_t_over_seeds():
    first, second, third = compare_choices({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.0], "c": [1.0, 3.0, 2.0]})
    assert first.difference is None
    assert second.difference == pytest.approx((1, 1, 1))
    assert third.difference == pytest.approx((0, -4.3027 / math.sqrt(3), 4.3027 / math.sqrt(3)), abs=1e-3)
    table = format_table([first, second, third], "letter").splitlines()
    assert table[3].endswith("| +1 (+1 … +1) | they differ |")
    assert table[4].endswith("no difference shown |")
    assert compare_choices({"a": [1.0], "b": [3.0]})[1].difference == (2, -math.inf, math.inf)
