import pytest

from training.seq2seq.rouge import Rouge, count_common, split_words

WRITTEN = [
    "Harrow beat Selby 2-1 with a late goal by Quill.",
    "the the cat sat on the mat",
    "A storm comes!",
    "nothing alike",
    "",
]
REFERENCES = [
    "Selby lost to Harrow, 2-1: Quill scored late.",
    "on the mat sat the cat, the cat",
    "a storm comes",
    "quite different words",
    "some",
]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (1, [60, 93.333333, 100, 0, 0]),
        (2, [11.111111, 46.153846, 100, 0, 0]),
        ("L", [40, 53.333333, 100, 0, 0]),
    ],
)
def test_figures_are_those_of_rouge_score(unit, expected):  # its version 0.1.2, without stemming
    rouge = Rouge(unit)
    counts = rouge.count(WRITTEN, REFERENCES)
    assert counts == pytest.approx(expected, abs=1e-6)
    assert rouge.aggregate(counts) == pytest.approx(sum(expected) / 5)


def test_words_of_other_languages_are_words():
    assert split_words("L'été à Orléans, 2-1_fin") == ["l", "été", "à", "orléans", "2", "1", "fin"]


def test_the_common_subsequence_keeps_its_order_and_leaves_gaps():
    assert count_common(["a", "b", "c", "d", "e"], ["x", "b", "a", "d", "y", "e"]) == 3
    assert count_common([], ["a"]) == 0
