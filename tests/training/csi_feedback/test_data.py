import numpy as np
import pytest
import scipy.io
import torch

from training.csi_feedback.data import load_data

NAMES = ("DATA_Htrainin.mat", "DATA_Hvalin.mat", "DATA_Htestin.mat")


@pytest.fixture
def published(tmp_path):
    """Three files in the published layout, 8 angles and 8 taps, and the complex [N, angles, taps] behind each."""
    generator, behind = np.random.default_rng(0), {}
    (tmp_path / "files").mkdir()
    for name, count in zip(NAMES, (6, 3, 50), strict=True):
        entries = 0.1 * (generator.standard_normal((2, count, 8, 8)) * np.array([1, 0.5]).reshape(2, 1, 1, 1))
        behind[name] = entries[0] + 1j * entries[1]
        values = np.concatenate([part.reshape(count, -1) for part in entries], 1) + 0.5
        scipy.io.savemat(tmp_path / "files" / name, {"HT": values})
    return behind


def test_generated_channels_are_held_out_by_their_seed(tiny_recipe, generator, tmp_path):
    first, again = (load_data("indoor", tmp_path, tiny_recipe) for _ in range(2))
    assert torch.equal(first.test, again.test)
    assert first.test.shape == (40, 8, 8, 2)
    assert not torch.equal(first.test[:16], first.validation)
    assert not torch.equal(first.test, load_data("outdoor", tmp_path, tiny_recipe).test)
    assert first.source.sample(5, generator).shape == (5, 8, 8, 2)


def test_published_files_are_read_with_their_parts_and_their_axes(published, tiny_recipe, tmp_path):
    data = load_data("cost2100-indoor:files", tmp_path, tiny_recipe)
    assert (len(data.validation), len(data.test)) == (3, 40)
    expected = published["DATA_Htestin.mat"][:40].swapaxes(1, 2)
    found = torch.view_as_complex(data.test).numpy()
    scale = np.sqrt((np.abs(expected) ** 2).mean((1, 2), keepdims=True))
    np.testing.assert_allclose(found, expected / scale, rtol=1e-4, atol=1e-5)


def test_training_channels_of_a_file_are_turned_by_phases_of_their_own(published, tiny_recipe, generator, tmp_path):
    source = load_data("cost2100-indoor:files", tmp_path, tiny_recipe).source
    drawn = torch.view_as_complex(source.sample(200, generator))
    assert len({round(float(row[0, 0].abs()), 4) for row in drawn}) == 6
    assert len({round(float(row[0, 0].angle()), 3) for row in drawn}) > 150
    assert drawn.abs().square().mean((1, 2)).numpy() == pytest.approx(np.ones(200), rel=1e-4)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (
            "cost2100-indoor",
            ValueError,
            "unknown data 'cost2100-indoor'; use one of indoor, outdoor, cost2100-indoor:P",
        ),
        ("elsewhere", ValueError, "unknown data 'elsewhere'"),
        (
            "cost2100-outdoor:files",
            FileNotFoundError,
            r"lacks DATA_Htrainout\.mat, DATA_Hvalout\.mat, DATA_Htestout\.mat",
        ),
    ],
)
def test_what_is_no_data_is_named(data, error, message, published, tiny_recipe, tmp_path):
    with pytest.raises(error, match=message):
        load_data(data, tmp_path, tiny_recipe)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((4, 100)), r"DATA_Hvalin\.mat must hold one array \[N, 128\], found HT \[4, 100\]"),
        (np.full((4, 128), np.nan), "holds 512 values that are NaN or infinite"),
        (np.full((4, 128), 0.5), "holds channels that are all zeros"),
    ],
)
def test_a_file_that_holds_no_channels_is_named(values, message, published, tiny_recipe, tmp_path):
    scipy.io.savemat(tmp_path / "files" / "DATA_Hvalin.mat", {"HT": values})
    with pytest.raises(ValueError, match=message):
        load_data("cost2100-indoor:files", tmp_path, tiny_recipe)
