"""What counts as growth."""

from loadtests.bench.soak import Sample, _count_settling, find_growth


def test_growth_is_the_last_tenth_against_the_first():
    samples = [Sample(1000 + number, 20, 5) for number in range(100)]
    growth = find_growth(samples)
    assert growth.memory == (1000 + 94.5) / (1000 + 4.5)
    assert (growth.descriptors, growth.tasks) == (0, 0)


def test_a_moment_counts_for_nothing_and_a_leak_does():
    samples = [Sample(1000, 20, 5)] * 50
    samples[-1] = Sample(9000, 900, 900)
    assert find_growth(samples) == (1, 0, 0)
    leaking = [Sample(1000, 20 + number, 5 + 2 * number) for number in range(50)]
    assert find_growth(leaking) == (1, 45, 90)


def test_an_hour_settles_for_ten_minutes_and_less_for_a_quarter():
    assert (_count_settling(360), _count_settling(60)) == (60, 15)
