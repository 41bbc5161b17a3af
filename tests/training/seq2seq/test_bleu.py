import pytest
import sacrebleu

from training.seq2seq.bleu import Bleu

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


def test_chrf_stands_beside_it():
    further = Bleu(False).describe_further(TRANSLATIONS, REFERENCES)
    assert further["chrf"] == pytest.approx(sacrebleu.corpus_chrf(TRANSLATIONS, [REFERENCES]).score)
