import numpy as np
import pytest
import torch

from training.signal_classifier.data import load_data
from training.signals.cardiogram import LABELS


def test_parts_are_other_patients_of_all_conditions_alike(tiny_recipe, tmp_path):
    data, again = (load_data("generated", tmp_path, tiny_recipe) for _ in range(2))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [60, 20, 40]
    assert torch.equal(data.test.values, again.test.values)
    assert data.test.labels.bincount().tolist() == [8] * len(LABELS)
    rows = torch.cat([data.train.values, data.validation.values, data.test.values])
    assert len(rows.unique(dim=0)) == 120
    assert torch.equal(data.test.snr_db.clamp(*tiny_recipe.snr_db), data.test.snr_db)


def write_table(path, rows):
    path.write_text("".join(",".join(f"{value:.3e}" for value in row) + "\n" for row in rows))


def make_rows(count, offset=0.0):
    """Rows of 6 samples that tell their own number, and the labels 0 and 1 in turns."""
    return [[number + offset, *range(5), number % 2] for number in range(count)]


def test_tables_as_kaggle_has_them_are_read(tiny_recipe, tmp_path):
    write_table(tmp_path / "mitbih_train.csv", make_rows(40))
    write_table(tmp_path / "mitbih_test.csv", make_rows(4) + make_rows(6, offset=0.5))
    (tmp_path / "classes.txt").write_text("normal\nventricular\n")
    data = load_data(f"table:{tmp_path}", tmp_path, tiny_recipe)
    assert data.labels == ("normal", "ventricular")
    assert data.num_samples == 6
    assert data.test.labels.tolist() == [0, 1] * 5
    assert data.test.snr_db is None
    numbers = sorted(torch.cat([data.train.values, data.validation.values])[:, 0].tolist())
    assert numbers == list(range(4, 40))  # the first four are tested with to the last bit


def test_one_table_is_cut_in_three(tiny_recipe, tmp_path):
    (tmp_path / "own.csv").write_text("a,b,c,label\n" + "".join(f"{n},1,2,{n % 2}\n" for n in range(50)))
    data = load_data("table:own.csv", tmp_path, tiny_recipe)
    assert data.labels == ("0", "1")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [36, 4, 10]
    together = torch.cat([part.values[:, 0] for part in (data.train, data.validation, data.test)])
    assert sorted(together.tolist()) == list(range(50))


def test_signals_of_one_file_stay_in_one_part(tiny_recipe, tmp_path):
    for label in ("calm", "wild"):
        (tmp_path / label).mkdir()
        for patient in range(10):
            number = patient + 100 * (label == "wild")
            np.save(tmp_path / label / f"{patient}.npy", np.full((3, 8), number, np.float64))
    data = load_data(f"folder:{tmp_path}", tmp_path, tiny_recipe)
    patients = [set(part.values[:, 0].tolist()) for part in (data.train, data.validation, data.test)]
    assert [len(each) for each in patients] == [14, 2, 4]
    assert len(set().union(*patients)) == 20
    assert all(torch.equal(part.labels, (part.values[:, 0] >= 100).long()) for part in (data.train, data.test))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("csv:a", ValueError, "unknown data 'csv:a'; use generated, folder:PATH or table:PATH"),
        ("folder:", ValueError, "unknown data 'folder:'"),
        ("folder:none", FileNotFoundError, "no file or folder none"),
        ("folder:bad.csv", ValueError, r"bad\.csv is no folder"),
        ("folder:empty", ValueError, r"empty holds no \.npy files in folders that are named as labels"),
        ("table:empty", FileNotFoundError, r"empty holds no file whose name ends in train\.csv"),
        ("table:bad.csv", ValueError, r"bad\.csv: .*'x'.* a line is a signal's samples and its label's number"),
        ("table:half.csv", ValueError, r"half\.csv: samples must be finite, and the last column a label's number"),
        ("table:one.csv", ValueError, r"one\.csv has 1 different labels; 2 to 1000 are possible"),
    ],
)
def test_what_cannot_be_read_is_named(data, error, message, tiny_recipe, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("1,2,3,0\n1,x,3,1\n")
    (tmp_path / "half.csv").write_text("1,2,3,0.5\n1,2,3,1\n")
    (tmp_path / "one.csv").write_text("1,2,3,1\n3,2,1,1\n")
    with pytest.raises(error, match=message):
        load_data(data, tmp_path, tiny_recipe)
