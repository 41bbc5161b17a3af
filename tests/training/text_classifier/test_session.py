"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release, export."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from tests.training import runs
from tests.training.interrupting import interrupted_after
from training.cli import app
from training.engine.cost import format_cost
from training.engine.distillation import soften_and_compare
from training.engine.interruption import Interrupted
from training.engine.runs import read_run, train_all
from training.labels.difference import compare_runs, read_right
from training.labels.table import format_table
from training.release.capture import capture
from training.sequences.batching import pad_rows
from training.text_classifier.data import load_data
from training.text_classifier.network import load_network
from training.text_classifier.objective import TextTask
from training.text_classifier.servable import describe_release
from training.text_classifier.session import find_subwords, make_task, train
from training.text_classifier.subwords import load_subwords


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_and_pictures(finished_run):
    metrics = read_run(finished_run)["metrics"]
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert (evaluation["dataset"], evaluation["n"], metrics["n"]) == ("opinions test", 60, 60)
    right, _ = read_right(finished_run)
    assert metrics["accuracy"] == evaluation["accuracy"] == pytest.approx(right.mean())
    beside = evaluation["bag_of_words"]
    assert metrics["bag_of_words"] == pytest.approx(beside["accuracy"], abs=1e-4)
    found = beside["network_minus_words"]
    assert found["difference"] == pytest.approx(right.mean() - beside["accuracy"])
    assert found["interval"][0] <= found["difference"] <= found["interval"][1]
    forms = evaluation["forms"]
    assert sum(form["n"] for form in forms["network"].values()) == 60
    assert sum(form["n"] * form["accuracy"] for form in forms["network"].values()) == pytest.approx(right.sum())
    for name in ("confusion_matrix.png", "reliability.png", "accuracy_by_form.png"):
        assert (finished_run / name).read_bytes().startswith(b"\x89PNG")


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(
    finished_run, tiny_recipe, make_options, tmp_path, monkeypatch
):
    monkeypatch.setattr("training.text_classifier.session.evaluate_run", lambda *given: {})
    with interrupted_after(TextTask, 1), pytest.raises(Interrupted, match="stopped after step 2 of"):
        train(tiny_recipe, make_options(tmp_path / "run"))
    train(tiny_recipe, make_options(tmp_path / "run", resume=True))
    runs.assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


@torch.no_grad()
def test_the_release_scores_as_the_evaluation_does(finished_run, spec):
    texts = spec.held_out.inputs["text"]
    assert (len(texts), texts.dtype) == (60, np.object_)
    subwords = load_subwords(finished_run, lowercase=True)
    rows = subwords.encode([text.decode() for text in texts], 64)
    module = spec.programs["main"].module
    probabilities = np.concatenate([module(torch.tensor([row])).numpy() for row in rows])
    score = spec.held_out.score({"probabilities": probabilities})
    assert score.mean() == pytest.approx(read_run(finished_run)["metrics"]["accuracy"])
    assert spec.held_out.binary
    assert spec.handler_options["labels"] == ["negative", "neutral", "positive"]
    assert list(spec.extra_files.values()) == [finished_run / "vocabulary.model"]
    assert (spec.examples["text"].tolist(), spec.parameters[0].maximum) == (texts[:3].tolist(), 3)


def test_the_program_exports_with_any_number_of_rows_and_pieces(spec):
    exported = capture(spec.programs["main"], torch.device("cpu")).module()
    for shape in ((1, 1), (64, 64), (5, 9)):
        pieces = torch.randint(4, 300, shape)
        pieces[-1, shape[1] // 2 + 1 :] = 0
        torch.testing.assert_close(exported(pieces), spec.programs["main"].module(pieces))


def test_networks_stand_beside_a_bag_of_words_in_one_table(
    finished_run, tiny_recipe, make_options, tmp_path, monkeypatch
):
    monkeypatch.setattr("training.labels.record.draw_all", lambda *given: None)
    monkeypatch.setattr("training.text_classifier.evaluate.draw_forms", lambda *given: None)
    runs = {"transformer": finished_run}
    runs |= train_all({"lstm": replace(tiny_recipe, network="lstm")}, make_options(tmp_path), train)
    right = {name: read_right(run)[0] for name, run in runs.items()} | {"bag of words": np.arange(60) % 2 == 0}
    costs = {name: format_cost(load_network(run)[0], run) for name, run in runs.items()}
    lines = format_table(right, costs).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == ["transformer", "lstm", "bag of words"]
    assert "50.00 % (37.7" in lines[4]
    assert lines[4].endswith("| – | – |")
    assert "no difference shown" in compare_runs(finished_run, finished_run)
    with pytest.raises(ValueError, match="is an lstm: it is for comparison only"):
        describe_release(runs["lstm"], "cpu")


def test_the_command_line_trains_on_a_table_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr("training.labels.record.draw_all", lambda *given: None)
    rows = [f"{'good' if n % 2 else 'bad'},word{n % 7} {'fine' if n % 2 else 'poor'} thing {n}" for n in range(60)]
    (tmp_path / "own.csv").write_text("\n".join(["label,text", *rows]))
    changes = ["width=16", "hidden=16", "vocabulary_size=300", "epochs=1"]
    arguments = ["text_classifier", "--data", "table:own.csv", "--data-root", str(tmp_path)]
    arguments += ["--out", str(tmp_path / "run"), *(part for change in changes for part in ("--set", change))]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "bag_of_words       1.0" in result.output
    (tmp_path / "own.csv").write_text("label,text\nbad\n")
    again = CliRunner().invoke(app, [*arguments, "--overwrite"])
    assert again.exit_code == 2
    assert "own.csv line 2 has 1 cells" in again.output


def test_the_gate_asks_for_more_than_the_most_frequent_label(spec):
    count = len(spec.held_out.inputs["text"])
    majority = [spec.held_out.score({"probabilities": np.eye(2)[[label] * count]}).tolist() for label in range(2)]
    assert spec.held_out.baseline.scores.tolist() in majority


def test_a_student_learns_its_teachers_answers_from_its_pieces(finished_run, tiny_recipe, tmp_path):
    changes = {"width": 32, "dropout": 0.0, "vocabulary_size": 200, "teacher": str(finished_run)}
    recipe = replace(tiny_recipe, **changes, teacher_weight=0.25)
    data = load_data("opinions", tmp_path, validation_fraction=recipe.validation_fraction)
    subwords = find_subwords(recipe, data, tmp_path)
    assert len(subwords) == 400  # the teacher's, not 200
    torch.manual_seed(0)
    task, _ = make_task(recipe, data, subwords, tmp_path, torch.device("cpu"), seed=0)
    rows = task.plan.at(0)
    pieces, labels = pad_rows([task.train.rows[row] for row in rows]), task.train.labels[rows]
    with torch.no_grad():
        own, expected = (network(pieces) for network in (task.network, load_network(finished_run)[0]))
    loss = 0.75 * F.cross_entropy(own, labels) + 0.25 * soften_and_compare(own, expected, recipe.teacher_temperature)
    torch.testing.assert_close(task.train_step(0)["loss"], loss)


def test_a_student_is_released_beside_its_teacher(finished_run, tiny_recipe, make_options, tmp_path):
    run = train(replace(tiny_recipe, teacher=str(finished_run)), make_options(tmp_path / "run"))
    assert describe_release(run, "cpu").parent == finished_run


def test_a_teacher_that_reads_other_lengths_is_refused(finished_run, tiny_recipe, make_options, tmp_path):
    recipe = replace(tiny_recipe, max_pieces=32, teacher=str(finished_run))
    with pytest.raises(ValueError, match=r"has max_pieces=64, this recipe 32; set max_pieces=64"):
        train(recipe, make_options(tmp_path))
