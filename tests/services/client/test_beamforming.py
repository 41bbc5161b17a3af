"""`beamform` and `infer beamformer` against a stand-in for the server's side of the conversation."""

import sys

import numpy as np
import pytest
import scipy.io

from services.client import Client, cli
from services.client.beamforming import measure_spectral_efficiency


def channels(count):
    generator = np.random.default_rng(0)
    return (generator.standard_normal((count, 5, 36, 144)) + 1j).astype(np.complex64)


def test_complex_channels_go_as_pairs_of_floats_in_several_calls(server):
    given = channels(18)
    with Client(server.url) as client:
        beams = client.beamform(given, csi_snr_db=-10)
    assert sorted(list(request.inputs[0].shape) for request in server.requests) == [
        [2, 5, 36, 144, 2],
        [16, 5, 36, 144, 2],
    ]
    first = max(server.requests, key=lambda request: request.inputs[0].shape[0])
    sent = np.frombuffer(first.raw_input_contents[0], np.complex64).reshape(16, 5, 36, 144)
    np.testing.assert_array_equal(sent, given[:16])
    assert np.frombuffer(first.raw_input_contents[1], np.float32).tolist() == [-10] * 16
    assert (beams.precoder.shape, beams.precoder.dtype) == ((18, 5, 144, 2), np.complex64)
    assert beams.combiner.shape == (18, 5, 36, 2)
    assert beams.analog_precoder is None
    assert (beams.errors, beams.version) == (("",) * 18, "1-int8")


def test_hybrid_parts_come_when_rf_chains_are_asked_for(server):
    with Client(server.url) as client:
        beams = client.beamform(channels(1)[0], rf_chains=3)
    assert server.requests[0].parameters["rf_chains"].int64_param == 3
    assert [tensor.name for tensor in server.requests[0].inputs] == ["channel"]
    assert beams.analog_precoder.shape == (1, 144, 3)
    assert beams.baseband_combiner.shape == (1, 5, 3, 2)


def test_a_zero_channel_fails_alone(server):
    given = channels(3)
    given[1] = 0
    with Client(server.url) as client:
        beams = client.beamform(given)
    assert beams.errors == ("", "all zeros", "")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 5, 36, 144, 2), np.float32), "complex arrays, got float32"),
        (np.zeros((36, 144), np.complex64), r"\[N, K, R, T\] or \[K, R, T\], got \[36, 144\]"),
    ],
)
def test_arrays_that_are_no_channels_are_refused_before_sending(server, array, message):
    with Client(server.url) as client, pytest.raises(ValueError, match=message):
        client.beamform(array)
    assert server.requests == []


def test_spectral_efficiency_of_a_diagonal_channel_is_that_of_its_gains():
    channel = np.zeros((1, 1, 3, 4), complex)
    channel[0, 0, 0, 0], channel[0, 0, 1, 1] = 3, 2
    found = measure_spectral_efficiency(channel, np.eye(4, 2)[None, None], np.eye(3, 2)[None, None], 10)
    assert found == pytest.approx(np.log2(1 + 5 * 9) + np.log2(1 + 5 * 4))


def call(server, monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["infer", "beamformer", *map(str, arguments), "--url", server.url])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return exit_.value.code or 0, capsys.readouterr()


@pytest.mark.parametrize("suffix", [".npy", ".mat"])
def test_the_command_writes_weights_and_prints_the_rate(suffix, server, monkeypatch, capsys, tmp_path):
    source, out = tmp_path / f"H{suffix}", tmp_path / "F.npz"
    if suffix == ".npy":
        np.save(source, channels(2))
    else:
        scipy.io.savemat(source, {"any": np.moveaxis(channels(2), 1, 3)})
    status, captured = call(server, monkeypatch, capsys, source, "--rf-chains", 2, "--version", "3-onnx", "--out", out)
    assert status == 0, captured.err
    assert "2 channels, beamformer 1-int8: " in captured.out
    assert "bits/s/Hz" in captured.out
    assert server.requests[-1].model_version == "3-onnx"
    sent = np.frombuffer(server.requests[-1].raw_input_contents[0], np.complex64)
    np.testing.assert_array_equal(sent.reshape(2, 5, 36, 144), channels(2))
    with np.load(out) as written:
        assert written["precoder"].shape == (2, 5, 144, 2)
        assert written["analog_combiner"].shape == (2, 36, 2)


def test_the_command_names_the_channel_that_failed(server, monkeypatch, capsys, tmp_path):
    given = channels(2)
    given[1] = 0
    np.save(tmp_path / "H.npy", given)
    status, captured = call(server, monkeypatch, capsys, tmp_path / "H.npy")
    assert status == 1
    assert "channel 1: all zeros" in captured.err
    assert "1 channels" in captured.out
