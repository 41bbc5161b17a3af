import numpy as np

from handlers.sampling import Sampler, Sampling

PIECES = np.array([7, 5, 9, 4])
LOGARITHMS = np.log([0.5, 0.3, 0.15, 0.05])


def draw(count=2000, **rules):
    sampler = Sampler(Sampling(**{"temperature": 1.0, "top_k": 4, "seed": 1} | rules))
    places = [sampler.choose(LOGARITHMS, PIECES) for _ in range(count)]
    return np.bincount(places, minlength=4) / count


def test_shares_are_the_probabilities_at_temperature_one_and_sharper_below():
    np.testing.assert_allclose(draw(), [0.5, 0.3, 0.15, 0.05], atol=0.03)
    squares = np.array([0.25, 0.09, 0.0225, 0.0025])
    np.testing.assert_allclose(draw(temperature=0.5), squares / squares.sum(), atol=0.03)
    assert draw(temperature=0.0).tolist() == [1, 0, 0, 0]


def test_only_the_likeliest_are_chosen_from():
    assert draw(top_k=2)[2:].tolist() == [0, 0]
    np.testing.assert_allclose(draw(top_p=0.6), [0.625, 0.375, 0, 0], atol=0.03)
    assert draw(top_p=0.5).tolist() == [1, 0, 0, 0]
    assert draw(top_p=0.81)[3] == 0
    assert draw(top_p=0.81)[2] > 0


def test_what_was_seen_or_chosen_is_less_likely():
    greedy = Sampler(Sampling(temperature=0.0, top_k=4, repetition_penalty=2.0, seen=frozenset({7})))
    assert [greedy.choose(LOGARITHMS, PIECES) for _ in range(4)] == [1, 0, 0, 0]
    np.testing.assert_allclose(
        draw(seen=frozenset(PIECES.tolist()), repetition_penalty=2.0), draw(temperature=0.5), atol=0.03
    )


def test_the_same_seed_chooses_the_same():
    one, other = (Sampler(Sampling(temperature=1.0, top_k=4, seed=3)) for _ in range(2))
    assert [one.choose(LOGARITHMS, PIECES) for _ in range(20)] == [other.choose(LOGARITHMS, PIECES) for _ in range(20)]
