from collections import Counter

import pytest

from training.text_classifier import opinions
from training.text_classifier.opinions import FORMS, LABELS, compose_opinions


@pytest.fixture(scope="module")
def parts():
    return {
        part: compose_opinions(count, part, 1) for part, count in (("train", 8000), ("validation", 500), ("test", 1500))
    }


def words(part):
    return {word.strip(",.:?") for opinion in part for word in opinion.text.split()}


def test_the_same_seed_composes_the_same_and_no_sentence_twice(parts):
    assert compose_opinions(50, "train", 1) == parts["train"][:50]
    assert compose_opinions(50, "train", 2) != parts["train"][:50]
    assert len({opinion.text for opinion in parts["train"]}) == 8000


def test_no_held_out_sentence_has_a_pair_of_frame_and_adjective_that_is_trained_on(monkeypatch):
    seen = {"train": set(), "validation": set(), "test": set()}
    fill = opinions._fill
    monkeypatch.setattr(
        opinions, "_fill", lambda frame, own, *rest: seen[rest[1]].add((frame, own)) or fill(frame, own, *rest)
    )
    for part in seen:
        compose_opinions(3000, part, 1)
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["validation"]
    assert not seen["validation"] & seen["test"]
    for position in (0, 1):  # each frame alone, and each adjective alone, is trained on
        assert {pair[position] for pair in seen["test"]} <= {pair[position] for pair in seen["train"]}


def test_the_test_part_speaks_of_nouns_that_are_never_trained_on(parts):
    assert not words(parts["train"]) & set(opinions._TEST_NOUNS)
    assert set(opinions._TEST_NOUNS) <= words(parts["test"])
    assert not words(parts["test"]) & (set(opinions._NOUNS) - {"train"})


def test_every_adjective_tells_as_often_one_sentiment_as_the_other(parts):
    told = Counter((form, label) for form, label in ((o.form, o.label) for o in parts["train"]))
    for form in set(FORMS) - {"no opinion"}:
        assert 0.75 < told[form, 0] / told[form, 2] < 1.33
    assert {label for form, label in told if form == "no opinion"} == {LABELS.index("neutral")}


def test_no_word_and_no_frame_is_there_twice():
    for words_ in (opinions._POSITIVE + opinions._NEGATIVE, opinions._NOUNS + opinions._TEST_NOUNS):
        assert len(set(words_)) == len(words_)
        assert min(map(len, words_)) > 2
    frames = [frame.text for frame, _ in opinions._list_frames()]
    assert len(set(frames)) == len(frames)


def test_articles_fit():
    assert [opinions._with_article(word) for word in ("awful", "good", "useful", "honest", "ugly")] == [
        "an awful",
        "a good",
        "a useful",
        "an honest",
        "an ugly",
    ]


def test_labels_follow_from_the_frame(parts):
    found = {o.text: LABELS[o.label] for o in parts["train"]}
    for text, label in found.items():
        if text.startswith("the ") and " was not just " not in text and text.split()[2:4] == ["was", "not"]:
            adjective = text.split(",")[0].split()[-1]
            assert label == ("negative" if adjective in opinions._POSITIVE else "positive"), text
        if text.endswith("?"):
            assert label == "neutral"
