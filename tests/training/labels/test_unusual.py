import numpy as np
import pytest

from training.labels.unusual import area_under_curve, describe_alarms, describe_detection, find_threshold


def test_the_threshold_is_the_conformal_quantile():
    deviations = np.arange(1, 100.0)
    assert find_threshold(deviations, 0.9) == 90
    assert find_threshold(deviations, 0.99) == 99
    assert find_threshold(deviations, 0.999) == 99  # of too few the greatest


def test_the_area_counts_pairs_in_which_the_unusual_row_has_the_greater_number():
    rows = np.array([[1, 0], [2, 0], [2, 1], [3, 1]], float)
    assert area_under_curve(rows) == pytest.approx((1.5 + 2) / 4)
    assert area_under_curve(rows[:2]) == area_under_curve(rows[2:]) == 0.5


def test_detection_is_held_against_another_method_on_the_same_rows():
    is_unusual = np.arange(200) >= 100
    number = np.arange(200.0)
    found = describe_detection(number, {"reversed": number[::-1]}, is_unusual, 149.0)
    assert found["n"] == 100
    assert found["area_under_curve"]["value"] == 1
    assert found["reversed"]["value"] == 0
    assert found["reversed"]["difference_interval"] == (1, 1)
    assert found["detected"]["value"] == 0.5
    assert found["detected"]["interval"] == pytest.approx((0.404, 0.596), abs=1e-3)
    assert describe_alarms(number[:100], 96.0)["value"] == 0.03
