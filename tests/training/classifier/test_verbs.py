"""The further verbs on one small comparison: its table, attacks and groups of a run, pictures of what it sees."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from training.classifier.comparison import list_recipes
from training.classifier.recipe import DEMO
from training.cli import app
from training.engine.runs import read_run
from training.images.glyphs import draw_glyphs

SMALL = ["widths=8,16,16", "resolution=20", "epochs=4", "batch_size=20", "token_width=16", "num_layers=1", "lr=0.05"]


def invoke(*arguments):
    result = CliRunner().invoke(app, ["classifier", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def compared(tmp_path_factory, no_pictures):
    """Folder of a comparison on 240 glyphs, 60 of them for testing."""
    folder = tmp_path_factory.mktemp("compared")
    images, labels = draw_glyphs(240, seed=0)
    np.savez(
        folder / "few.npz", images=images[60:], labels=labels[60:], test_images=images[:60], test_labels=labels[:60]
    )
    changes = [part for change in SMALL for part in ("--set", change)]
    invoke(
        "comparison", "--networks", "compact,deit", "--data", f"arrays:{folder / 'few.npz'}", "--out", folder, *changes
    )
    return folder


def test_recipes_of_a_comparison_differ_in_what_belongs_to_the_network_alone(tmp_path):
    recipes = list_recipes(DEMO, tmp_path)
    assert list(recipes) == ["compact", "resnet18", "plain18", "depthwise", "vit", "deit"]
    for field in ("epochs", "batch_size", "shift_px", "label_smoothing", "resolution", "margin"):
        assert {getattr(recipe, field) for recipe in recipes.values()} == {getattr(DEMO, field)}
    assert recipes["vit"].lr == pytest.approx(0.003 * 50 / 128)
    assert recipes["vit"].matrix_lr == recipes["deit"].matrix_lr == 0.03
    assert recipes["deit"].teacher == str(tmp_path)


def test_comparison_says_of_each_network_how_it_differs_from_the_first(compared):
    head, _, first, second = (compared / "comparison.md").read_text().splitlines()
    assert head.startswith("| network | accuracy | − first, in points | McNemar p |")
    accuracy = [read_run(compared / name)["metrics"]["accuracy"] for name in ("compact", "deit")]
    assert first.startswith(f"| compact | {100 * accuracy[0]:.2f} % (")
    assert "| – | – |" in first
    assert second.startswith(f"| deit | {100 * accuracy[1]:.2f} % (")
    assert f"| {100 * (accuracy[1] - accuracy[0]):+.2f} (" in second
    assert read_run(compared / "deit")["recipe"]["teacher"] == str(compared / "compact")


def test_robustness_is_added_to_the_evaluation(compared):
    run = compared / "compact"
    before = json.loads((run / "evaluation.json").read_text())
    np.save(compared / "halves.npy", np.repeat(["first", "second"], 30))
    said = invoke("robustness", run, "--bounds", "8,64", "--groups", compared / "halves.npy")
    after = json.loads((run / "evaluation.json").read_text())
    assert {name: after[name] for name in before} == before
    found = {(figure["method"], figure["bound"]): figure["accuracy"] for figure in after["robustness"]}
    assert found["FGSM", 0] == found["PGD", 0] == before["accuracy"]
    assert found["PGD", 64] < 0.5 * found["PGD", 0]
    assert found["PGD", 64] <= found["PGD", 8] <= found["PGD", 0]
    assert set(after["by_group"]) == {"class", "halves"}
    halves = after["by_group"]["halves"]["groups"]
    assert {name: group["n"] for name, group in halves.items()} == {"first": 30, "second": 30}
    assert (halves["first"]["accuracy"] + halves["second"]["accuracy"]) / 2 == pytest.approx(before["accuracy"])
    assert "by halves: worst " in said
    assert "  true positive rate, most of label " in said
    widest = after["by_group"]["halves"]["fairness"]["true_positive_rate"]
    assert widest["gap"] == pytest.approx(widest["highest"]["rate"] - widest["lowest"]["rate"])
    for name in ("robustness.png", "groups.png"):
        assert (run / name).stat().st_size > 0


@pytest.mark.parametrize("name", ["compact", "deit"])
def test_features_are_drawn_into_the_run(name, compared, monkeypatch):
    monkeypatch.setattr("training.classifier.feature_pictures._DEPTHS", {1: "8 layers"})
    said = invoke("features", compared / name, "--steps", 3, "--rows", 8)
    assert "8 layers without shortcuts: gradient of the first layer " in said
    for picture in ("filters", "feature_maps", "activation_maximisation", "gradient_flow"):
        assert (compared / name / f"{picture}.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["comparison", "--networks", "compact,alexnet"], "unknown network 'alexnet'; there are: compact, resnet18"),
        (["comparison", "--preset", "vit"], "no common recipe 'vit'; there are: demo, full"),
        (
            ["robustness", "RUN", "--bounds", "1,0"],
            "--bounds takes numbers above 0 with commas, such as 1,2,4; got '1,0'",
        ),
        (["features", "RUN", "--image", "60"], "--image 60: there are 60 test images, counted from 0"),
    ],
)
def test_what_cannot_be_done_is_refused(arguments, message, compared):
    run = str(compared / "compact")
    result = CliRunner().invoke(app, ["classifier", *(run if part == "RUN" else part for part in arguments)])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
