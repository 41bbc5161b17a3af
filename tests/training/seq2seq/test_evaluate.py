import numpy as np
import pytest

from training.seq2seq.bleu import Bleu
from training.seq2seq.evaluate import choose_baseline, make_score, score_texts
from training.seq2seq.recipe import Recipe
from training.seq2seq.rouge import Rouge

SOURCES = ["It rained. Three birds flew away. All is well.", "Two dogs met. It was dark.", "A cat sat. A fox ran off."]
SUMMARIES = ["three birds flew", "two dogs met", "a fox ran"]
SUMMARY = Recipe(task="summary")


def test_figures_of_perfect_translations():
    texts = ["the dog sees a cat on the mat.", "a big red house stands here now", "deux chiens"]
    figures = score_texts(texts, texts, texts, Recipe())
    assert (figures["bleu"], figures["chrf"], figures["exact_match"], figures["n"]) == pytest.approx((100, 100, 1, 3))
    assert figures["baselines"]["the source copied"]["difference"] == 0


def test_exact_match_folds_case_only_if_asked():
    assert score_texts(["Deux"], ["deux"], [""], Recipe(lowercase=True))["exact_match"] == 1
    assert score_texts(["Deux"], ["deux"], [""], Recipe(lowercase=False))["exact_match"] == 0


def test_summaries_are_measured_by_rouge_with_intervals_and_held_to_both_leads():
    figures = score_texts(["three birds flew", "two dogs met", "a cat sat"], SUMMARIES, SOURCES, SUMMARY)
    assert figures["rouge_l"] == pytest.approx((100 + 100 + 100 / 3) / 3)
    assert figures["rouge_1_interval"][0] < figures["rouge_1"] < figures["rouge_1_interval"][1] == 100
    first, both = figures["baselines"].values()
    assert first["value"] == pytest.approx((0 + 100 + 100 / 3) / 3)
    assert first["difference"] == pytest.approx(100 / 3)
    assert both["value"] == pytest.approx(100 * (2 * 3 / 9 + 2 * 3 / 9 + 2 * 3 / 10) / 3)


def test_a_release_has_to_beat_the_better_lead():
    baseline = choose_baseline(SOURCES, SUMMARIES, SUMMARY)
    assert baseline.name == "lead-2, the first two sentences"
    assert baseline.scores == pytest.approx([100 * 6 / 9, 100 * 6 / 9, 60])


@pytest.mark.parametrize("measure", [Bleu(False), Rouge()])
def test_the_gates_score_reads_the_handlers_output(measure):
    outputs = {"translation": np.array([text.encode() for text in SOURCES], np.object_)}
    assert np.array_equal(make_score(SUMMARIES, measure)(outputs), measure.count(SOURCES, SUMMARIES))
