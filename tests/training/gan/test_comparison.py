"""The table of generators of several kinds."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image
from typer.testing import CliRunner

from tests.training.gan.conftest import TINY, make_options
from training.cli import app
from training.engine.runs import read_run, start_run, stop_run
from training.gan import comparison


def test_generators_are_compared_by_one_command_and_one_judge(finished_run, tmp_path, monkeypatch):
    recipes = {"conditional": TINY, "plain": replace(TINY, conditional=False)}
    monkeypatch.setattr(comparison, "RECIPES", recipes)
    (tmp_path / "conditional").symlink_to(finished_run)
    arguments = ["gan", "comparison", "--data", "glyphs", "--out", str(tmp_path), "--set", "epochs=0.5"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    report = (tmp_path / "comparison.md").read_text()
    assert report in done.output
    names = [line.split("|")[1].strip() for line in report.splitlines() if line.startswith("|")]
    assert names == ["run", "---", "conditional", "plain", "floor"]
    assert "second minus first" in report
    assert read_run(tmp_path / "plain")["recipe"]["judge"] == str(tmp_path / "conditional" / "judge")
    with Image.open(tmp_path / "comparison.png") as picture, Image.open(finished_run / "samples.png") as samples:
        assert picture.width > 2 * samples.width


def test_a_run_that_collapsed_is_said_to_have_and_the_others_are_compared(finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "RECIPES", {"lost": TINY, "conditional": TINY, "again": TINY})
    for name in ("conditional", "again"):
        (tmp_path / name).symlink_to(finished_run)
    stop_run(start_run(make_options(tmp_path / "lost"), TINY), "mode collapse: all images are alike")
    done = CliRunner().invoke(app, ["gan", "comparison", "--data", "glyphs", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    names = [line.split("|")[1].strip() for line in done.output.splitlines() if line.startswith("|")]
    assert names == ["run", "---", "conditional", "again", "floor"]
    assert "second minus first" in done.output
    assert f"{tmp_path / 'lost'} was given up: mode collapse: all images are alike" in done.output
