"""The table of generators of several kinds."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image
from typer.testing import CliRunner

from tests.training.gan.conftest import TINY
from training.cli import app
from training.engine.runs import read_run
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
