import numpy as np
import pytest

from training.language_model.ngram import NGram


def test_probabilities_are_those_of_the_formula_on_a_text_counted_by_hand():
    # a b a b a c: bigrams ab 2, ba 2, ac 1; different pieces before a: 1 (b), b: 1 (a), c: 1 (a).
    grams = NGram(np.array([0, 1, 0, 1, 0, 2]), num_pieces=4, num_writable=4, order=2)
    # The discounts are n1 / (n1 + 2·n2): of bigrams 1 / (1 + 2·2), of the counts of single pieces 3 / (3 + 0).
    single = np.array([0.25] * 4)  # all of the counts is taken off and spread over the four
    after_a = (np.maximum(np.array([0, 2, 1, 0]) - 0.2, 0) + 0.2 * 2 * single) / 3
    found = np.exp([grams.log_probabilities(np.array([[0, piece]]))[0, 1] for piece in range(4)])
    np.testing.assert_allclose(found, after_a)


@pytest.mark.parametrize("order", [1, 3, 5])
def test_probabilities_of_all_pieces_sum_to_one_after_anything(order):
    generator = np.random.default_rng(0)
    grams = NGram(generator.integers(0, 9, 3000), num_pieces=9, num_writable=9, order=order)
    for context in ([], [3], [0, 1, 2, 3], [8, 8, 8, 8, 8, 8]):
        rows = np.array([[*context, piece] for piece in range(9)])
        assert np.exp(grams.log_probabilities(rows)[:, -1]).sum() == pytest.approx(1)


def test_a_text_that_repeats_is_foreseen_and_more_context_helps():
    stream = np.tile(np.array([0, 1, 2, 0, 1, 3]), 200)
    losses = [-NGram(stream, 4, 4, order).log_probabilities(stream[None, :60])[0, 10:].mean() for order in (1, 3, 5)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.05
