import numpy as np
import pytest
import torch

from training.forecaster.bundled import load_bundled
from training.forecaster.data import load_data, read_folder, split_series
from training.forecaster.windows import Series, cut_windows


def ramp(name="ramp", length=200):
    """A series whose values are their own places."""
    return Series(name, np.arange(length, dtype=float), 4)


def test_futures_that_are_measured_are_never_trained_on(tiny_recipe, generator):
    data = split_series("ramps", [ramp()], tiny_recipe)
    recorded = data.source.sample(400, generator)[200:]
    assert recorded.max() == 139
    assert (data.validation.future.min(), data.validation.future.max()) == (140, 157)
    assert data.validation.future.max() < data.test.future.min() == 160
    assert data.test.future.max() == 195
    assert torch.equal(data.test.history[0], torch.arange(136.0, 160))


def test_windows_that_share_steps_of_their_futures_share_a_cluster():
    windows = cut_windows([ramp(), ramp("other")], [160, 160], context=24, horizon=8, stride=4)
    assert windows.future[:, 0].tolist() == [160, 164, 168, 172, 176, 180, 184, 188, 192] * 2
    assert windows.cluster.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9]
    assert windows.names == ("ramp",) * 9 + ("other",) * 9


def test_half_of_the_training_windows_are_generated(tiny_recipe, generator):
    windows = split_series("ramps", [ramp()], tiny_recipe).source.sample(100, generator)
    is_ramp = (windows.diff(dim=1) == 1).all(1)
    assert is_ramp.sum() == 50


def test_short_series_are_left_out_and_named(tiny_recipe, capsys):
    data = split_series("ramps", [ramp(), ramp("short", 35)], tiny_recipe)
    assert set(data.test.names) == {"ramp"}
    assert "ramps: too short, left out: short" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no series of 43 steps or more, the longest has 35"):
        split_series("ramps", [ramp("short", 35)], tiny_recipe)


def test_generated_windows_are_held_out_by_their_seed(tiny_recipe, generator, tmp_path):
    first, again = (load_data("generated", tmp_path, tiny_recipe) for _ in range(2))
    assert torch.equal(first.test.history, again.test.history)
    assert len(first.test) == 40
    assert not torch.equal(first.test.history[:16], first.validation.history)
    assert first.source.sample(5, generator).shape == (5, 30)


def test_a_folder_of_tables_is_read_column_by_column(tiny_recipe, tmp_path):
    for name in ("north", "south"):
        lines = [f"2024-01-{day},{day},{'' if day == 5 else 2 * day}" for day in range(1, 101)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["date,a,b", *lines]))
    series = read_folder(tmp_path, 4)
    assert [each.name for each in series] == ["north/a", "north/b", "south/a", "south/b"]
    assert series[1].values[3:6].tolist() == [8, 10, 12]
    data = load_data("folder:north.csv", tmp_path, tiny_recipe)
    assert (data.name, set(data.test.names)) == ("north", {"a", "b"})


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("csv:a", ValueError, "unknown data 'csv:a'; use generated, bundled, or folder:PATH"),
        ("folder:", ValueError, "unknown data 'folder:'"),
        ("folder:none", FileNotFoundError, "no file or folder none, neither here nor in"),
        ("folder:empty", FileNotFoundError, r"empty holds no \.csv file"),
        ("folder:bad.csv", ValueError, r"bad\.csv line 3: column 'a' holds 'x'"),
    ],
)
def test_what_cannot_be_read_is_named(data, error, message, tiny_recipe, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("a\n1\nx\n")
    with pytest.raises(error, match=message):
        load_data(data, tmp_path, tiny_recipe)


def test_bundled_series_are_whole():
    series = {each.name: each for each in load_bundled()}
    assert len(series) == 12
    assert all(np.isfinite(each.values).all() for each in series.values())
    assert {
        name: (len(series[name].values), series[name].period) for name in ("co2", "elnino", "sunspots", "unemp")
    } == {
        "co2": (526, 12),
        "elnino": (732, 12),
        "sunspots": (309, 11),
        "unemp": (203, 4),
    }
