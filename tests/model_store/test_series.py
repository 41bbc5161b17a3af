import numpy as np
import pytest

from model_store.series import fill_gaps, parse_series, read_series


def parse(text):
    return parse_series(text.splitlines(), "a.csv")


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,10\n2,\n3,30\n",
        "date,a,b\n2024-01-01,1,10\n2024-01-02,2,NA\n2024-01-03,3,30\n",
        "Year;a;b\n2001;1;10\n2002;2;\n\n2003;3;30\n",
        "\ta\tb\n0\t1\t10\n1\t2\tnan\n2\t3\t30\n",
    ],
    ids=["plain", "dates", "years", "pandas index"],
)
def test_each_column_is_a_series_and_times_are_none(text):
    series = parse(text)
    assert list(series) == ["a", "b"]
    assert series["a"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(series["b"], [10, np.nan, 30])


def test_empty_cells_before_and_behind_a_series_are_not_part_of_it():
    assert {name: len(values) for name, values in parse("a,b\n1,\n2,5\n3,6\n,7\n").items()} == {"a": 3, "b": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.csv holds no series"),
        ("a,b\n", r"a\.csv holds no series"),
        ("1,2\n3,4\n", "line 1 holds numbers; the first line must name the columns"),
        ("a,b\n1,2\n\n3\n", "line 4 has 1 cells, the header names 2 columns"),
        ("a,b\n1,2\n3,x\n", r"a\.csv line 3: column 'b' holds 'x', which is no finite number"),
        ("a,b\n1,2\n3,inf\n", "line 3: column 'b' holds 'inf'"),
        ("a,a\n1,2\n", "line 1 names column 'a' twice"),
        ("a,b\n1,\n2,\n", "column 'b' has no values"),
        ("date\n2024-01-01\n", "no column besides the times"),
    ],
)
def test_what_is_no_series_is_named_by_file_and_line(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_arrays_are_a_series_or_one_a_row(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(3))
    np.save(tmp_path / "two.npy", np.ones((2, 4), np.float32))
    assert read_series(tmp_path / "one.npy")["row 0"].tolist() == [0, 1, 2]
    assert list(read_series(tmp_path / "two.npy")) == ["row 0", "row 1"]
    np.save(tmp_path / "bad.npy", np.ones((2, 4, 1)))
    with pytest.raises(ValueError, match=r"holds float64 \[2, 4, 1\]; series are numbers \[T\]"):
        read_series(tmp_path / "bad.npy")
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.csv"):
        read_series(tmp_path / "none.csv")


def test_gaps_are_filled_by_straight_lines():
    filled = fill_gaps(np.array([np.nan, 1, np.nan, np.nan, 4, np.nan]))
    assert filled.tolist() == [1, 1, 2, 3, 4, 4]
