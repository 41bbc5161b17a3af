import dataclasses
import json
import os
import signal
from functools import partial

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from training.cli import app
from training.engine.interruption import Interrupted
from training.engine.runs import read_run
from training.release.reference import open_reference
from training.seq2seq import comparison, session
from training.seq2seq.comparison import describe_row, format_table
from training.seq2seq.difference import compare_runs
from training.seq2seq.objective import TranslationTask, inverse_sqrt_factor
from training.seq2seq.recipe import PRESETS, Recipe
from training.seq2seq.servable import describe_release, encode_texts
from training.seq2seq.session import train


@pytest.fixture(scope="module")
def run(tiny_recipe, make_options, tmp_path_factory):
    return train(tiny_recipe, make_options(tmp_path_factory.mktemp("runs") / "toy"))


def test_a_run_learns_to_translate_what_it_has_not_seen(run):
    figures = json.loads((run / "evaluation.json").read_text())["toy.en, toy.fr"]
    assert figures["exact_match"] >= 0.8
    assert read_run(run)["metrics"]["bleu"] == figures["bleu"] > 80
    assert figures["baselines"]["the source copied"]["difference_interval"][0] > 50
    assert (run / "samples.md").read_text().startswith("| text | written | reference |")


def test_the_gate_measures_what_the_evaluation_measured(run, tmp_path):
    spec = describe_release(run, "cpu")
    handler = open_reference(spec, torch.device("cpu"), tmp_path)
    scores = spec.held_out.score(handler.infer(spec.held_out.inputs, {}).arrays)
    assert spec.held_out.aggregate(scores) == pytest.approx(read_run(run)["metrics"]["bleu"])
    copied = spec.held_out.score({"translation": spec.held_out.inputs["text"]})
    np.testing.assert_array_equal(spec.held_out.baseline.scores, copied)
    assert "case:lc" in spec.held_out.metric
    assert spec.margin == 0.3
    assert set(spec.extra_files) == {"vocabulary.model"}


def test_a_summarizer_is_judged_by_rouge_and_held_to_the_first_sentences(tiny_recipe, make_options, tmp_path):
    words = ["one", "two", "red", "dog", "cat", "big", "sun", "house", "tree"]
    rows = [(f"It is {word}. The {other} sees us.", f"{other} sees") for word in words for other in words]
    (tmp_path / "all.tsv").write_text("document\tsummary\n" + "".join(f"{one}\t{two}\n" for one, two in rows))
    recipe = dataclasses.replace(tiny_recipe, task="summary", epochs=1)
    run = train(recipe, make_options(tmp_path / "run", data="summaries:all.tsv", data_root=tmp_path))
    spec = describe_release(run, "cpu")
    assert spec.held_out.metric.startswith("ROUGE-L ")
    assert spec.held_out.baseline.name == "lead-2, the first two sentences"
    assert spec.outputs[0].meaning.startswith("summary in UTF-8")
    assert (
        read_run(run)["metrics"]["rouge_l"] == json.loads((run / "evaluation.json").read_text())["all.tsv"]["rouge_l"]
    )
    assert "ROUGE-L" in compare_runs(run, run)


def test_an_interrupted_run_resumes_to_the_same_weights(tiny_recipe, make_options, tmp_path, monkeypatch):
    train_step = TranslationTask.train_step

    def stop_at_5(task, step):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return train_step(task, step)

    recipe = dataclasses.replace(tiny_recipe, epochs=1)
    whole = train(recipe, make_options(tmp_path / "whole"))
    monkeypatch.setattr(TranslationTask, "train_step", stop_at_5)
    with pytest.raises(Interrupted):
        train(recipe, make_options(tmp_path / "halves"))
    monkeypatch.undo()
    halves = train(recipe, make_options(tmp_path / "halves", resume=True))
    first, second = (torch.load(path / "network.pt")["network"] for path in (whole, halves))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_does_not_differ_from_itself(run):
    assert "no difference shown" in compare_runs(run, run)


def test_a_recurrent_network_learns_too_and_release_refuses_it(tiny_recipe, make_options, tmp_path):
    recipe = dataclasses.replace(tiny_recipe, network="gru", sampling=0.2, epochs=10, lr=2e-2)
    run = train(recipe, make_options(tmp_path / "gru"))
    row = describe_row("gru", run)
    assert row.exact_match >= 0.5
    assert "| BLEU |" in format_table([row])
    assert "| gru |" in format_table([row])
    with pytest.raises(ValueError, match="is a gru: recurrent networks are for comparison only"):
        describe_release(run, "cpu")


def test_networks_are_compared_by_one_command(tiny_recipe, corpus, tmp_path, monkeypatch):
    recipes = {name: dataclasses.replace(tiny_recipe, network=name) for name in ("transformer", "lstm")}
    monkeypatch.setattr(comparison, "RECIPES", recipes)
    arguments = ["--data", "text:toy.en,toy.fr", "--data-root", str(corpus), "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["seq2seq", "comparison", *arguments, "--set", "epochs=1"])
    assert done.exit_code == 0, done.output
    table = (tmp_path / "comparison.md").read_text()
    assert table in done.output
    assert [line.split("|")[1].strip() for line in table.splitlines()] == ["network", "---", "transformer", "lstm"]
    assert {read_run(tmp_path / name)["recipe"]["epochs"] for name in recipes} == {1.0}


def test_the_rate_rises_and_then_falls_with_the_root_of_the_step():
    rates = partial(inverse_sqrt_factor, warmup_steps=100, num_steps=1000)
    factors = [rates(step, num_cooldown_steps=0) for step in (0, 49, 99, 399, 999)]
    assert factors == pytest.approx([0.01, 0.5, 1.0, 0.5, 0.1**0.5])


def test_over_the_cool_down_the_rate_falls_to_nothing():
    rates = partial(inverse_sqrt_factor, warmup_steps=100, num_steps=1000)
    ratios = [rates(step, num_cooldown_steps=99) / rates(step, num_cooldown_steps=0) for step in (899, 900, 950, 999)]
    assert ratios == pytest.approx([1.0, 1.0, 0.5, 0.01])


def test_presets_are_recipes():
    assert set(PRESETS) == {"demo", "full", "summary-demo"}
    with pytest.raises(ValueError, match="beam_size=9 is above max_beam_size=8"):
        Recipe(beam_size=9)


def test_a_student_learns_its_teachers_translations_and_a_resumed_one_does_not_ask_again(
    run, tiny_recipe, make_options, tmp_path, monkeypatch
):
    recipe = dataclasses.replace(tiny_recipe, width=16, epochs=0.2, teacher=str(run))
    student = train(recipe, make_options(tmp_path / "student"))
    taught = json.loads((student / "taught.json").read_text())
    spec = describe_release(run, "cpu")
    handler = open_reference(spec, torch.device("cpu"), tmp_path / "work")
    sources = encode_texts([source for source, _ in taught[:20]])
    answers = handler.infer({"text": sources}, {}).arrays["translation"]
    assert [target for _, target in taught[:20]] == [answer.decode() for answer in answers]
    assert describe_release(student, "cpu").parent == run

    monkeypatch.setattr(session, "learn_from", None)
    train(dataclasses.replace(recipe, epochs=0.4), make_options(student, resume=True))
    assert read_run(student)["finished"]
