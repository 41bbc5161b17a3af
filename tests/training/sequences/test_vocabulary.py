import pytest

from training.sequences.vocabulary import END, Vocabulary, learn_exact_vocabulary, learn_vocabulary

TEXTS = ["the dog sees the cat", "le chien voit le chat", "12 dogs and 345 cats"] * 5


@pytest.fixture(scope="module")
def vocabulary():
    return learn_vocabulary(TEXTS, 300, lowercase=False)


def test_has_exactly_the_size_asked_for(vocabulary):
    assert len(vocabulary) == 300


@pytest.mark.parametrize("text", ["the dog sees", "naïve Ωμέγα 漢字 🙂", "a\u0301"])
def test_any_unicode_comes_back(vocabulary, text):
    (pieces,) = vocabulary.encode([text])
    assert pieces[-1] == END
    assert vocabulary.decode([pieces]) == [text.replace("a\u0301", "á")]


def test_digits_stand_alone(vocabulary):
    one, two = vocabulary.encode(["345", "543"])
    assert sorted(one[:-1]) == sorted(two[:-1])


def test_lowercase_folds_before_encoding(vocabulary):
    folding = Vocabulary(vocabulary.model, lowercase=True)
    assert folding.encode(["The DOG"]) == vocabulary.encode(["the dog"])


def test_too_many_pieces_are_refused():
    with pytest.raises(ValueError, match="no vocabulary of 9000 pieces can be learned, lower vocabulary_size"):
        learn_vocabulary(TEXTS, 9000, lowercase=False)


@pytest.mark.parametrize("size", [0, 300])
def test_exact_pieces_keep_every_space_line_and_capital(size):
    lines = [f"  {line}  Two  Spaces" for text in TEXTS for line in (text, "X = (1, 2)")]
    vocabulary = learn_exact_vocabulary(lines, size)
    text = "  def F(x):\n\n    return 'naïve' \t 漢\n"
    (pieces,) = vocabulary.encode([text])
    assert vocabulary.decode([pieces]) == [text]
    parts = vocabulary.encode(["  def F", "(x):\n\n  ", "  return"])
    assert vocabulary.decode([[*parts[0][:-1], *parts[1][:-1], *parts[2]]]) == ["  def F(x):\n\n    return"]
    if not size:
        assert len(pieces) == len(text) - 4 + len("ï\t漢".encode()) + 2
