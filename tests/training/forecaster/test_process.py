import torch

from training.forecaster.process import draw_windows


def draw(seed, count=200, periods=(4, 12)):
    return draw_windows(count, 120, periods, torch.Generator().manual_seed(seed))


def test_the_same_seed_gives_the_same_windows_and_another_seed_others():
    assert torch.equal(draw(1).values, draw(1).values)
    assert not torch.equal(draw(1).values, draw(2).values)


def test_windows_are_finite_of_any_scale_and_of_every_season():
    drawn = draw(0)
    assert drawn.values.shape == (200, 120)
    assert torch.isfinite(drawn.values).all()
    sizes = drawn.values.abs().mean(1).log10()
    assert sizes.min() < 0
    assert sizes.max() > 2
    assert set(drawn.period.tolist()) == {4, 12}


def test_values_resemble_those_a_season_before_more_than_those_half_a_season_before():
    values = draw(0, periods=(12,)).values
    season = (values[:, 12:] - values[:, :-12]).abs().mean(1)
    half = (values[:, 6:] - values[:, :-6]).abs().mean(1)
    assert (season < half).float().mean() > 0.6
