"""A search of a kind whose score is a known function of its recipe."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from training.cli import make_command
from training.engine.checkpoint import Resumable
from training.engine.interruption import Interrupted
from training.engine.loop import Plan, fit
from training.engine.runs import finish_run, read_run, read_stop, start_run
from training.models import Model
from training.recipe_search.space import Choices, Range, locate, read_space

NUM_VALIDATIONS = 4


@dataclass(frozen=True, kw_only=True)
class Recipe:
    lr: Annotated[float, "rate"] = 0.1
    layers: Annotated[int, "layers"] = 2
    shape: Annotated[Literal["round", "square"], "shape"] = "square"
    widths: Annotated[tuple[int, ...], "widths"] = (8, 16)
    data: Annotated[str, "data"] = "none"

    def __post_init__(self) -> None:
        if self.layers == 13:
            raise ValueError("thirteen layers bring bad luck")


class Task(Resumable):
    """Its score rises to −|log10(lr) + 2|, highest at 0.01; round is worse by 0.1."""

    parts = ()
    device = torch.device("cpu")

    def __init__(self, recipe):
        self.recipe, self.step = recipe, 0

    def train_step(self, step):
        self.step = step + 1
        return {"loss": torch.zeros(())}

    def validate(self):
        score = -abs(math.log10(self.recipe.lr) + 2) - 0.1 * (self.recipe.shape == "round")
        return {"score": score - 1 / self.step}


def train(recipe, options):
    if not options.resume:
        start_run(options, recipe)
    if recipe.lr == 0.5 and not (options.out / "seen").exists():
        (options.out / "seen").touch()
        raise Interrupted("stopped after step 0")
    fit(Task(recipe), Plan(num_steps=NUM_VALIDATIONS, validate_every=1, monitor="score"), options.out)
    finish_run(options.out, {"test": 1.0})
    return options.out


MODEL = Model[Recipe](
    kind="classifier",
    summary="A parabola.",
    presets={"demo": Recipe()},
    data_sets={"none": "nothing"},
    train=train,
    describe_release=lambda run, device: None,
)


def search(out, *options):
    return CliRunner().invoke(make_command(MODEL), ["search", "--out", str(out), *map(str, options)])


OVER = ("--over", "lr=1e-4:1:log", "--over", "shape=round|square")


def read_trials(out):
    return json.loads((out / "search.json").read_text())["trials"]


def test_the_best_recipe_is_found_and_the_rest_is_given_up_early(tmp_path):
    answer = search(tmp_path, *OVER, "--set", "layers=3", "--trials", 25)
    assert answer.exit_code == 0, answer.output
    trials = read_trials(tmp_path)
    assert len(trials) == 25
    assert trials[0]["values"] == {"lr": "0.1", "shape": "square"}  # the preset itself
    best = max(trials, key=lambda trial: trial["score"] or -math.inf)
    assert best["score"] > -0.5 > trials[0]["score"]
    assert f"best of 25: {best['run']}" in answer.output
    assert f"train classifier --preset demo --set layers=3 --set lr={best['values']['lr']}" in answer.output
    assert "of the scores' variance by lr" in answer.output
    pruned = [trial["run"] for trial in trials if trial["state"] == "pruned"]
    assert len(pruned) >= 5
    assert all(read_stop(tmp_path / run) == "behind the median of the trials before" for run in pruned)
    record = read_run(tmp_path / best["run"])
    assert record["metrics"] == {"test": 1.0}
    assert record["command"].startswith("train classifier --preset demo --set layers=3 --set lr=")
    with Image.open(tmp_path / "search.png") as picture:
        assert picture.width > 1000


def test_the_same_command_goes_on_and_another_search_is_refused(tmp_path):
    assert search(tmp_path, *OVER, "--trials", 3).exit_code == 0
    first = read_trials(tmp_path)
    assert search(tmp_path, *OVER, "--trials", 5).exit_code == 0
    assert read_trials(tmp_path)[:3] == first
    assert len(read_trials(tmp_path)) == 5
    answer = search(tmp_path, "--over", "lr=1e-3:1", "--trials", 5)
    assert answer.exit_code == 2
    assert "holds another search (it differs in space); say another --out" in answer.output


def test_a_stopped_trial_is_taken_up_and_counted_once(tmp_path):
    over = ("--over", "lr=0.5|0.01", "--trials", 3)
    answer = search(tmp_path, *over)
    assert answer.exit_code == 130
    assert "continue with: the same command" in answer.output
    assert search(tmp_path, *over).exit_code == 0
    trials = read_trials(tmp_path)
    assert len(trials) == 3
    assert len({trial["run"] for trial in trials}) == 3
    assert any(trial["values"] == {"lr": "0.5"} and trial["score"] is not None for trial in trials)


def test_recipes_that_are_refused_are_named_and_the_search_goes_on(tmp_path):
    answer = search(tmp_path, "--over", "lr=0.1|0.01", "--over", "layers=2:14", "--trials", 30)
    assert answer.exit_code == 0, answer.output
    assert {trial["state"] for trial in read_trials(tmp_path)} >= {"complete", "failed"}
    failed = [trial for trial in read_trials(tmp_path) if trial["state"] == "failed"]
    assert all("thirteen layers bring bad luck" in trial["why"] for trial in failed)


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ([], "say what to search: --over FIELD=LOW:HIGH"),
        (["lr"], "--over takes FIELD=LOW:HIGH, .* got 'lr'"),
        (["rate=1:2"], "no field 'rate'"),
        (["lr=1:0.5"], "the range must rise"),
        (["lr=0:1:log"], "the range must rise, and begin above 0"),
        (["lr=0.1:1:linear"], "--over takes"),
        (["layers=one|two"], "must be a whole number, got 'one'"),
        (["shape=round|oval"], "must be one of round, square"),
        (["shape=round"], "one choice is no choice; say --set shape=round"),
        (["lr=0.1:1", "lr=1|2"], "--over names lr twice"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(over, reason):
    with pytest.raises(ValueError, match=reason):
        read_space(over, Recipe())


def test_a_space_knows_where_a_recipe_lies():
    space = read_space(["lr=1e-3:1:log", "layers=1:4", "widths=8,16|32,64"], Recipe())
    assert space == [
        Range(field="lr", low=1e-3, high=1.0, log=True, whole=False),
        Range(field="layers", low=1, high=4, log=False, whole=True),
        Choices(field="widths", values=("8,16", "32,64")),
    ]
    assert locate(space, Recipe()) == {"lr": 0.1, "layers": 2, "widths": "8,16"}
    assert locate(space, replace(Recipe(), layers=5)) is None
