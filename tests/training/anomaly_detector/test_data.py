from dataclasses import replace

import pytest
import torch

from training.anomaly_detector.data import load_data


def test_every_second_test_signal_is_of_another_condition_and_none_of_those_train(tiny_recipe, tmp_path):
    data, again = (load_data("generated", tmp_path, tiny_recipe) for _ in range(2))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [60, 20, 40]
    assert data.test.labels.bincount().tolist() == [20, 5, 5, 5, 5]
    assert data.is_unusual.tolist() == [False, True] * 20
    assert torch.equal(data.test.values, again.test.values)
    assert len(torch.cat([data.train, data.validation, data.test.values]).unique(dim=0)) == 120


def test_another_condition_may_be_the_usual_one(tiny_recipe, tmp_path):
    data = load_data("generated", tmp_path, replace(tiny_recipe, usual="ST elevation"))
    assert data.labels[int(data.test.labels[0])] == "ST elevation"
    assert not data.is_unusual[0]


def write_table(path, labels):
    path.write_text("".join(f"{number},{label},2,3,{label}\n" for number, label in enumerate(labels)))


def test_of_recordings_the_usual_ones_train_and_all_test(tiny_recipe, tmp_path):
    write_table(tmp_path / "beats_train.csv", [0, 0, 0, 1] * 10)
    write_table(tmp_path / "beats_test.csv", [0, 1, 0])
    (tmp_path / "classes.txt").write_text("normal\nother\n")
    data = load_data(f"table:{tmp_path}", tmp_path, tiny_recipe)
    assert (data.usual, data.labels, data.num_samples) == ("normal", ("normal", "other"), 4)
    assert data.is_unusual.tolist() == [False, True, False]
    kept = torch.cat([data.train, data.validation])
    assert kept[:, 1].tolist() == [0] * len(kept)
    assert len(kept) == 30 - 2  # two of the test part are the same to the last bit


@pytest.mark.parametrize(
    ("tested", "usual", "message"),
    [
        ([0, 1], "heart", "usual=heart is no label of .*; there are 0, 1, 2"),
        ([1, 2], "0", "validation and 0 test signals that are 0, and 2 to test with that are not; give some of each"),
    ],
)
def test_labels_that_leave_nothing_to_tell_apart_are_refused(tiny_recipe, tmp_path, tested, usual, message):
    write_table(tmp_path / "a_train.csv", [0, 1, 2] * 20)
    (tmp_path / "a_test.csv").write_text("".join(f"{90 + n},9,9,9,{label}\n" for n, label in enumerate(tested)))
    with pytest.raises(ValueError, match=message):
        load_data(f"table:{tmp_path}", tmp_path, replace(tiny_recipe, usual=usual))
