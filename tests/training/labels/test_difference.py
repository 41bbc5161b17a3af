from __future__ import annotations

import numpy as np
import pytest

from training.labels.difference import compare_rows, compare_runs


def write_run(folder, right, labels):
    folder.mkdir()
    predicted = np.where(right, labels, (labels + 1) % 3)
    np.savez(folder / "predictions.npz", logits=np.eye(3)[predicted], labels=labels)
    return folder


def test_counts_discordant_rows_and_finds_a_real_difference():
    first = np.zeros(1000, bool)
    first[:900] = True
    second = first.copy()
    second[880:900] = False
    second[900:960] = True
    result = compare_rows(first, second)
    assert (result.only_first_right, result.only_second_right) == (20, 60)
    assert result.difference == pytest.approx(0.04)
    assert 0.02 < result.interval[0] < 0.04 < result.interval[1] < 0.06
    assert result.p_value < 1e-4


def test_equal_classifiers_show_no_difference():
    right = np.arange(100) % 10 != 0
    result = compare_rows(right, right)
    assert result.difference == 0
    assert result.interval[0] < 0 < result.interval[1]
    assert result.p_value == 1


def test_runs_are_compared_from_their_folders(tmp_path):
    labels = np.arange(300) % 3
    first = write_run(tmp_path / "a", np.arange(300) >= 90, labels)
    second = write_run(tmp_path / "b", np.arange(300) >= 30, labels)
    text = compare_runs(first, second)
    assert "accuracy 70.00 %" in text
    assert "second − first +20.00 points" in text
    assert text.endswith("they differ")
    assert compare_runs(first, first).endswith("no difference shown")


def test_refuses_runs_on_different_rows(tmp_path):
    first = write_run(tmp_path / "a", np.ones(30, bool), np.arange(30) % 3)
    second = write_run(tmp_path / "b", np.ones(30, bool), np.arange(1, 31) % 3)
    with pytest.raises(ValueError, match="evaluated on different test rows"):
        compare_runs(first, second)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "run.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"c has no predictions.npz: the run did not finish"):
        compare_runs(first, tmp_path / "c")
