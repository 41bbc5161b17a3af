import pytest

from loadtests.capacity.tuning import Trial, choose_best, default_settings, list_space, search_settings
from loadtests.subject import find_variant


def rate(settings):
    """Two workers of one thread with small batches are best."""
    return 100.0 * settings.workers + 10 * settings.batches_per_worker - settings.max_batch_rows - settings.threads


def test_what_nobody_chose_is_tried_first_and_nothing_twice():
    tried = []
    trials = search_settings(lambda settings: tried.append(settings) or rate(settings), max_rows=64, cores=2, trials=8)
    assert tried[0] == default_settings(64, 2)
    assert (tried[0].workers, tried[0].threads, tried[0].max_batch_rows, tried[0].batches_per_worker) == (1, 1, 64, 2)
    assert len(set(tried)) == len(tried) == len(trials) == 8
    assert all(settings.workers * settings.threads <= 2 for settings in tried)
    assert [trial.rows_per_s for trial in trials] == [rate(settings) for settings in tried]


def test_the_best_is_found():
    trials = search_settings(rate, max_rows=64, cores=2, trials=99)
    assert len(trials) == len(list_space(64, 2)) == 18
    best = max(trials, key=lambda trial: trial.rows_per_s).settings
    assert (best.workers, best.threads, best.max_batch_rows, best.batches_per_worker) == (2, 1, 16, 2)


def test_a_tiny_space_is_tried_as_a_whole():
    assert len(search_settings(rate, max_rows=1, cores=1, trials=8)) == 2


def test_the_default_stays_where_nothing_is_won(store):
    subject = find_variant(store.open("double", 1), "int8")
    settings = default_settings(8, 2)
    trials = [Trial(settings=settings, rows_per_s=70.0)]
    trials.append(Trial(settings=settings.model_copy(update={"workers": 2}), rows_per_s=70.0))
    tuning = choose_best(subject, trials, 50.0)
    assert (tuning.settings, tuning.rows_per_s, tuning.default_rows_per_s, tuning.tried) == (settings, 70.0, 70.0, 2)
    with pytest.raises(ValueError, match="held 50 ms with none of 1 settings"):
        choose_best(subject, [Trial(settings=settings, rows_per_s=0.0)], 50.0)
