import io

import pytest
from rich.console import Console

from loadtests.bench.ratio import Ratio, measure_ratio, print_bar


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def test_sides_alternate_and_the_first_pair_only_warms_up(console):
    calls = []
    figures = {"a": iter([1.0, 40.0, 60.0, 50.0]), "b": iter([9.0, 10.0, 10.0, 25.0])}

    def measure(side):
        calls.append(side)
        return next(figures[side])

    ratio = measure_ratio(
        "fast", lambda: measure("a"), "slow", lambda: measure("b"), unit="rows/s", repeats=3, console=console
    )
    assert "".join(calls) == "baabbaab"
    assert (ratio.figures, ratio.other_figures) == ((40.0, 60.0, 50.0), (10.0, 10.0, 25.0))
    assert ratio.ratios == [4.0, 6.0, 2.0]
    assert ratio.value == 4.0


def test_the_ratio_prints_both_sides_and_the_spread():
    ratio = Ratio(name="int8", other="eager", unit="rows/s", figures=(400.0, 450.0), other_figures=(100.0, 90.0))
    assert str(ratio) == (
        "int8 425.0 rows/s ÷ eager 95.0 rows/s = 4.50× (median of 2 pairs, which range from 4.00 to 5.00)"
    )


@pytest.mark.parametrize(
    ("value", "bar", "at_least", "reached"),
    [(4.0, 4.0, True, True), (3.9, 4.0, True, False), (5.0, 5.0, False, True), (5.1, 5.0, False, False)],
)
def test_a_bar_is_reached_or_missed(console, value, bar, at_least, reached):
    assert print_bar(console, "figure", value, bar, at_least=at_least) is reached
    assert console.file.getvalue().startswith("reached" if reached else "MISSED")
