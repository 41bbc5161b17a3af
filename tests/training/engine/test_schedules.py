import pytest

from training.engine.schedules import make_schedule


def test_cosine_rises_to_one_and_falls_to_zero():
    factor = make_schedule("cosine", num_steps=100, warmup_fraction=0.1)
    assert [factor(0), factor(9)] == pytest.approx([0.1, 1.0])
    assert factor(55) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(0.0)


def test_one_cycle_is_a_triangle():
    factor = make_schedule("one-cycle", num_steps=10, warmup_fraction=0.2)
    assert [factor(step) for step in (0, 1, 2, 6, 10)] == pytest.approx([0.2, 0.6, 1.0, 0.5, 0.0])


def test_without_warmup_starts_at_full_rate():
    assert make_schedule("one-cycle", num_steps=10, warmup_fraction=0.0)(0) == 1.0
    assert make_schedule("constant", num_steps=10, warmup_fraction=0.0)(9) == 1.0


def test_rejects_unknown_schedule_and_warmup():
    with pytest.raises(ValueError, match="unknown schedule 'step'; use one of"):
        make_schedule("step", num_steps=10, warmup_fraction=0.0)
    with pytest.raises(ValueError, match=r"warmup_fraction must lie in \[0, 1\), got 1"):
        make_schedule("cosine", num_steps=10, warmup_fraction=1.0)
