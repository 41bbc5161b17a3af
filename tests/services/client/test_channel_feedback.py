"""`compress`, `restore` and `infer csi_feedback` against a stand-in for the server's side of the conversation."""

import sys

import numpy as np
import pytest

from services.client import Client, cli
from services.client.channel_feedback import compress, measure_nmse_db, restore


def answer(request, inputs):
    """A codeword is half of a channel's real parts, its scale 2; what comes back has those real parts."""
    if "channel" in inputs:
        real = inputs["channel"][..., 0]
        errors = ["all zeros" if not row.any() else "" for row in real]
        codeword, scale = real.reshape(len(real), -1) / 2, np.full(len(real), 2, np.float32)
    else:
        codeword, errors = inputs["codeword"], [""] * len(inputs["codeword"])
        scale = inputs.get("scale", np.ones(len(codeword), np.float32))
    restored = np.zeros((len(codeword), 2, 3, 2), np.float32)
    restored[..., 0] = (codeword * scale[:, None]).reshape(-1, 2, 3)
    found = {"codeword": codeword, "scale": scale, "reconstruction": restored}
    asked = {output.name for output in request.outputs}
    return {name: value for name, value in found.items() if name in asked} | {"row_errors": np.array(errors, object)}


@pytest.fixture
def feedback(server):
    server.answers["csi_feedback"] = answer
    return server


def channels(count):
    return (np.random.default_rng(0).standard_normal((count, 2, 3)) + 1j).astype(np.complex64)


def test_codewords_alone_go_in_several_calls_and_come_back_as_channels(feedback):
    given = channels(70)
    with Client(feedback.url) as client:
        sent = client.perform(compress(given))
        assert [output.name for output in feedback.requests[0].outputs] == ["codeword", "scale", "row_errors"]
        back = client.perform(restore(sent.codeword, sent.scale))
    assert sorted(len(request.inputs[0].shape) for request in feedback.requests) == [2, 2, 4, 4]
    assert (sent.codeword.shape, sent.restored, sent.version) == ((70, 6), None, "1-int8")
    assert back.dtype == np.complex64
    np.testing.assert_allclose(back, given.real)


def test_a_channel_that_fails_fails_alone(feedback):
    given = channels(3)
    given[1] = 0
    with Client(feedback.url) as client:
        found = client.perform(compress(given, restore=True))
    assert found.errors == ("", "all zeros", "")
    np.testing.assert_allclose(found.restored[[0, 2]], given[[0, 2]].real)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 2, 3, 2), np.float32), "complex arrays, got float32"),
        (np.zeros((1, 1, 2, 3), np.complex64), r"\[N, T, A\] or \[T, A\], got \[1, 1, 2, 3\]"),
    ],
)
def test_arrays_that_are_no_channels_are_refused_before_sending(feedback, array, message):
    with Client(feedback.url) as client, pytest.raises(ValueError, match=message):
        client.perform(compress(array))
    assert feedback.requests == []


def test_nmse_is_the_mean_share_that_is_lost():
    given = channels(4)
    assert measure_nmse_db(given, 0.9 * given) == pytest.approx(-20, abs=1e-3)


@pytest.fixture
def infer(feedback, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["infer", "csi_feedback", *map(str, arguments), "--url", feedback.url])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code or 0, capsys.readouterr()

    return call


def test_the_command_compresses_to_a_file_and_restores_from_it(infer, tmp_path):
    given = channels(5)
    np.save(tmp_path / "H.npy", given)
    status, captured = infer(tmp_path / "H.npy", "--out", tmp_path / "c.npz")
    assert status == 0, captured.err
    nmse = measure_nmse_db(given, given.real)
    assert f"5 channels, csi_feedback 1-int8: 12 values in 6 of float32, NMSE {nmse:.2f} dB" in captured.out
    status, captured = infer(tmp_path / "c.npz", "--out", tmp_path / "back.npy")
    assert status == 0, captured.err
    np.testing.assert_allclose(np.load(tmp_path / "back.npy"), given.real)


def test_the_command_says_which_channel_failed_and_what_a_file_lacks(infer, tmp_path):
    given = channels(2)
    given[0] = 0
    np.save(tmp_path / "H.npy", given)
    status, captured = infer(tmp_path / "H.npy")
    assert (status, captured.err) == (1, "channel 0: all zeros\n")
    np.savez(tmp_path / "c.npz", other=np.ones(3))
    status, captured = infer(tmp_path / "c.npz")
    assert status == 2
    assert "c.npz must hold codeword, and scale if there is one; found other" in captured.err
