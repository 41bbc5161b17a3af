import h5py
import numpy as np
import pytest
import scipy.io
import torch

from training.beamformer.baselines.digital import beamform_svd
from training.beamformer.channel import ChannelModel, sample_channels
from training.beamformer.data import load_held_out, open_source
from training.beamformer.inspection import inspect_data
from training.beamformer.mat_file import read_channels

MODEL = ChannelModel()
COMPLEX = np.dtype([("real", "<f8"), ("imag", "<f8")])


def make_arrays(num_channels=None, seed=0):
    """Arrays of the thesis: H, Fopt and Wopt, one channel or several."""
    channel = sample_channels(MODEL, num_channels or 1, torch.Generator().manual_seed(seed))
    arrays = {
        name: np.moveaxis(each.numpy(), 1, 3)
        for name, each in zip(("H", "Fopt_final", "Wopt_final"), (channel, *beamform_svd(channel)), strict=True)
    }
    return arrays if num_channels else {name: value[0] for name, value in arrays.items()}


def write_v5(path, arrays):
    scipy.io.savemat(path, arrays)


def write_v73(path, arrays):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in arrays.items():
            turned = value.T
            if np.iscomplexobj(turned):
                record = np.empty(turned.shape, COMPLEX)
                record["real"], record["imag"] = turned.real, turned.imag
                turned = record
            file.create_dataset(name, data=turned)
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(head)


@pytest.mark.parametrize("write", [write_v5, write_v73])
@pytest.mark.parametrize("num_channels", [None, 3])
def test_reads_back_channels_and_labels_under_any_name(write, num_channels, tmp_path):
    arrays = make_arrays(num_channels)
    path = tmp_path / "channels.mat"
    write(path, {f"any_{name}": value for name, value in arrays.items()} | {"note": np.arange(4.0)})
    content = read_channels(path, MODEL)
    for name, found in (("H", content.channel), ("Fopt_final", content.precoder), ("Wopt_final", content.combiner)):
        expected = arrays[name] if num_channels else arrays[name][None]
        np.testing.assert_allclose(found, np.moveaxis(expected, 3, 1), rtol=1e-6)
        assert found.dtype == np.complex64


def test_reads_a_real_channel_without_labels(tmp_path):
    write_v5(tmp_path / "real.mat", {"H": np.abs(make_arrays()["H"])})
    content = read_channels(tmp_path / "real.mat", MODEL)
    assert content.channel.shape == (1, 5, 36, 144)
    assert content.precoder is None


def test_reads_a_folder_in_the_order_of_names(tmp_path):
    for seed in (2, 1):
        write_v5(tmp_path / f"{seed}.mat", make_arrays(seed=seed))
    content = read_channels(tmp_path, MODEL)
    np.testing.assert_allclose(content.channel[0], np.moveaxis(make_arrays(seed=1)["H"], 2, 0), rtol=1e-6)
    assert len(content.channel) == 2


def test_holds_out_the_end_of_a_file_and_scales_to_unit_power(tmp_path):
    arrays = make_arrays(5)
    write_v5(tmp_path / "some.mat", {"H": 1e-3 * arrays["H"]})
    held_out = load_held_out("mat:some.mat", tmp_path, MODEL, 100)
    assert len(held_out.channel) == 1
    expected = torch.from_numpy(np.moveaxis(arrays["H"], 3, 1))
    scale = expected.abs().square().mean().sqrt()
    torch.testing.assert_close(held_out.channel[0], (expected[4] / scale).to(torch.complex64), rtol=1e-3, atol=1e-3)
    source = open_source("mat:some.mat", tmp_path, MODEL)
    assert len(source.channel) == 4
    assert source.sample(7, torch.Generator().manual_seed(0)).shape == (7, 5, 36, 144)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("H"), r"holds no channel: expected an array \[36, 144, 5\].*found Fopt_final"),
        (lambda arrays: arrays.update(H=arrays["H"][:, :100]), r"found H \[36, 100, 5\]"),
        (lambda arrays: arrays.update(other=arrays["H"]), "H, other all have the sizes"),
        (lambda arrays: arrays["H"].__setitem__((0, 0, 0), np.nan), "H holds 1 values that are NaN or infinite"),
        (lambda arrays: arrays.update(Fopt_final=arrays["Fopt_final"][::-1]), "precoder and H disagree in channel 0"),
        (lambda arrays: arrays.update(H=-1j * arrays["H"][..., ::-1]), "precoder and H disagree"),
    ],
)
def test_says_what_is_wrong_with_a_file(change, message, tmp_path):
    arrays = {name: value.copy() for name, value in make_arrays().items()}
    change(arrays)
    write_v5(tmp_path / "wrong.mat", arrays)
    with pytest.raises(ValueError, match=message):
        read_channels(tmp_path / "wrong.mat", MODEL)


def test_labels_may_have_any_phase_and_rotation(tmp_path):
    arrays = make_arrays()
    arrays["Fopt_final"] = np.einsum("tsk,sq->tqk", arrays["Fopt_final"], np.array([[1j, 1], [1, 1j]]) / 2**0.5)
    write_v5(tmp_path / "turned.mat", arrays)
    assert read_channels(tmp_path / "turned.mat", MODEL).precoder is not None


def test_names_what_is_no_matlab_file(tmp_path):
    (tmp_path / "text.mat").write_text("no matrix" * 40)
    with pytest.raises(ValueError, match=r"text\.mat is no readable MATLAB file"):
        read_channels(tmp_path / "text.mat", MODEL)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no \.mat file"):
        read_channels(tmp_path / "empty", MODEL)
    with pytest.raises(ValueError, match="unknown data 'digits'"):
        load_held_out("digits", tmp_path, MODEL, 1)


def test_inspection_lists_arrays_and_draws_them(tmp_path):
    arrays = make_arrays()
    arrays["Wopt_final"][0, 0, 0] = np.inf
    write_v5(tmp_path / "channels.mat", arrays)
    text = inspect_data(tmp_path / "channels.mat", tmp_path / "pictures")
    assert "3 numeric arrays" in text
    assert "36×144×5" in text
    assert "NOT FINITE" in text
    assert (tmp_path / "pictures" / "channels-H.png").read_bytes().startswith(b"\x89PNG")
