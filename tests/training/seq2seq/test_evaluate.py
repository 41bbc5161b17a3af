import numpy as np
import pytest
import sacrebleu

from training.seq2seq.evaluate import Bleu, make_score, score_translations

TRANSLATIONS = ["The dog sees the cat on the mat.", "a big red house stands there", "deux chats"]
REFERENCES = ["the dog sees a cat on the mat.", "a big red house stands here now", "deux chiens"]


@pytest.mark.parametrize("lowercase", [False, True])
def test_summed_statistics_give_sacrebleus_figure(lowercase):
    bleu = Bleu(lowercase)
    expected = sacrebleu.corpus_bleu(TRANSLATIONS, [REFERENCES], lowercase=lowercase).score
    assert bleu.aggregate(bleu.count(TRANSLATIONS, REFERENCES)) == pytest.approx(expected, abs=1e-9)


def test_the_signature_says_how_case_and_tokens_are_treated():
    assert "case:lc" in Bleu(True).signature
    assert "tok:13a" in Bleu(False).signature


def test_figures_of_perfect_translations():
    figures = score_translations(REFERENCES, REFERENCES, lowercase=False)
    assert (figures["bleu"], figures["chrf"], figures["exact_match"], figures["n"]) == pytest.approx((100, 100, 1, 3))


def test_exact_match_folds_case_only_if_asked():
    assert score_translations(["Deux"], ["deux"], lowercase=True)["exact_match"] == 1
    assert score_translations(["Deux"], ["deux"], lowercase=False)["exact_match"] == 0


def test_the_gates_score_reads_the_handlers_output():
    bleu = Bleu(False)
    outputs = {"translation": np.array([text.encode() for text in TRANSLATIONS], np.object_)}
    assert np.array_equal(make_score(REFERENCES, bleu)(outputs), bleu.count(TRANSLATIONS, REFERENCES))
