"""The handler around stand-in programs: which of the two runs, and what becomes of scales and of bad channels."""

from pathlib import Path

import numpy as np
import pytest

from handlers.csi_feedback import CsiFeedbackHandler
from handlers.device import Cpu


@pytest.fixture
def calls():
    return []


@pytest.fixture
def handler(calls):
    """Codewords are the first tap's real parts; what comes back has them there."""

    def encode(values):
        calls.append("encoder")
        return [np.ascontiguousarray(values[0][:, 0, :, 0])]

    def decode(values):
        calls.append("decoder")
        channels = np.zeros((len(values[0]), 2, 3, 2), np.float32)
        channels[:, 0, :, 0] = values[0]
        return [channels]

    manifest = {
        "handler_options": {},
        "programs": {},
        "inputs": [{"name": name} for name in ("channel", "codeword", "scale")],
        "outputs": [{"name": name} for name in ("codeword", "scale", "reconstruction")],
        "default_outputs": [],
    }
    handler = CsiFeedbackHandler(manifest, Path(), Cpu())
    handler.programs = {"encoder": encode, "decoder": decode}
    return handler


def channels():
    rows = np.zeros((3, 2, 3, 2), np.float32)
    rows[:, 0, :, 0] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    return rows


def test_a_channel_becomes_a_codeword_and_comes_back_in_its_scale(handler, calls):
    found = handler.infer({"channel": channels()}, {}).arrays
    assert list(found) == ["codeword", "scale", "reconstruction"]
    scale = np.sqrt(np.square(channels()).mean((1, 2, 3)) * 2)
    np.testing.assert_allclose(found["scale"], scale, rtol=1e-6)
    np.testing.assert_allclose(found["codeword"], channels()[:, 0, :, 0] / scale[:, None], rtol=1e-6)
    np.testing.assert_allclose(found["reconstruction"], channels(), rtol=1e-6)
    assert calls == ["encoder", "decoder"]


def test_the_user_equipment_runs_the_encoder_alone_and_the_base_station_the_decoder(handler, calls):
    sent = handler.infer({"channel": channels()}, {}, ("codeword", "scale")).arrays
    assert (list(sent), calls) == (["codeword", "scale"], ["encoder"])
    calls.clear()
    found = handler.infer(sent, {}, ("reconstruction",)).arrays
    np.testing.assert_allclose(found["reconstruction"], channels(), rtol=1e-6)
    assert calls == ["decoder"]
    unscaled = handler.infer({"codeword": sent["codeword"]}, {}, ("reconstruction",)).arrays["reconstruction"]
    np.testing.assert_allclose(unscaled * sent["scale"][:, None, None, None], channels(), rtol=1e-6)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_channels_of_any_size_have_the_same_codeword(handler, size):
    found = handler.infer({"channel": (channels() * size).astype(np.float32)}, {}).arrays
    expected = handler.infer({"channel": channels()}, {}).arrays
    np.testing.assert_allclose(found["codeword"], expected["codeword"], rtol=1e-5)
    np.testing.assert_allclose(found["reconstruction"], channels() * size, rtol=1e-5)


def test_channels_that_cannot_be_compressed_fail_alone_and_say_why(handler):
    rows = channels()
    rows[0, 1, 1, 1] = np.nan
    rows[1] = 0
    found = handler.infer({"channel": rows}, {})
    assert found.row_errors[0] == "the channel holds NaN or infinity; every entry must be a finite number"
    assert found.row_errors[1] == "the channel is all zeros; there is nothing to feed back"
    assert found.row_errors[2] is None
    assert not any(found.arrays[name][:2].any() for name in ("codeword", "scale", "reconstruction"))
    np.testing.assert_allclose(found.arrays["reconstruction"][2], channels()[2], rtol=1e-6)
