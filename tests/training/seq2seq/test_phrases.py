import pytest

from training.seq2seq.phrases import compose_phrases


@pytest.fixture(scope="module")
def phrases():
    return compose_phrases(1500, 3)


def test_phrases_are_real_translations(phrases):
    names, composed = map(dict, phrases)
    assert names["Germany"] == "Allemagne"
    assert names["Finnish"] == "finnois"
    assert len(names) > 500
    assert len(composed) == 1500


def test_every_kind_of_phrase_occurs(phrases):
    english = [phrase for phrase, _ in phrases[1]]
    for sign in (" or ", " ago", "in ", " thousand", "day, ", " (", "meter", "dollars"):
        assert any(sign in phrase for phrase in english), sign


def test_no_phrase_is_also_a_name_or_comes_twice(phrases):
    names, composed = phrases
    english = [phrase for phrase, _ in names + composed]
    assert len(set(english)) == len(english)


def test_the_seed_decides(phrases):
    assert compose_phrases(50, 3)[1] == phrases[1][:50]
    assert compose_phrases(50, 4)[1] != phrases[1][:50]
