"""The handler around a stand-in network: the decisions it makes about rows, scales and RF chains."""

from pathlib import Path

import numpy as np
import pytest
import torch

from handlers.beamformer import BeamformerHandler
from handlers.device import Cpu
from handlers.program import wrap_tensors

RECEIVE, TRANSMIT, SUBCARRIERS, STREAMS = 4, 6, 3, 2
OUTPUTS = ("precoder", "combiner", "analog_precoder", "baseband_precoder", "analog_combiner", "baseband_combiner")


def factor(tensors):
    """Beamform by SVD, so that answers can be checked; the estimate is the channel itself."""
    channel = torch.view_as_complex(tensors[0])
    left, _, right = torch.linalg.svd(channel, full_matrices=False)
    weights = (right.mH[..., :STREAMS].resolve_conj(), left[..., :STREAMS])
    return [*(torch.view_as_real(each.contiguous()) for each in weights), tensors[0]]


def split(tensors):
    """Hybrid weights of up to four chains, all ones where a row has a chain."""
    precoder, estimate, num_chains = tensors
    rows = len(precoder)
    present = (torch.arange(4) < num_chains[:, None]).to(precoder.dtype)
    analog = present[:, None, :, None]
    baseband = present[:, None, :, None, None]
    return [
        precoder,
        estimate.new_zeros(rows, SUBCARRIERS, RECEIVE, STREAMS, 2),
        analog.expand(-1, TRANSMIT, -1, 2),
        baseband.expand(-1, SUBCARRIERS, -1, STREAMS, 2),
        analog.expand(-1, RECEIVE, -1, 2),
        baseband.expand(-1, SUBCARRIERS, -1, STREAMS, 2),
    ]


@pytest.fixture
def handler():
    manifest = {
        "handler_options": {},
        "programs": {},
        "inputs": [
            {"name": "channel", "shape": [-1, SUBCARRIERS, RECEIVE, TRANSMIT, 2]},
            {"name": "csi_snr_db", "shape": [-1]},
        ],
        "outputs": [{"name": name} for name in OUTPUTS],
        "default_outputs": ["precoder", "combiner"],
    }
    handler = BeamformerHandler(manifest, Path(), Cpu())
    roles = {"main": factor, "hybrid": split}
    handler.programs = {role: wrap_tensors(run, handler.device) for role, run in roles.items()}
    return handler


def channels(count=4):
    generator = np.random.default_rng(0)
    return generator.standard_normal((count, SUBCARRIERS, RECEIVE, TRANSMIT, 2)).astype(np.float32)


def projectors(weights):
    columns = np.ascontiguousarray(weights).view(np.complex64)[..., 0]
    return columns @ columns.conj().swapaxes(-1, -2)


def test_bad_rows_fail_alone_and_say_why(handler):
    rows = channels(6)
    clean = handler.infer({"channel": rows.copy()}, {}).arrays["precoder"]
    rows[1, 0, 0, 0, 0] = np.nan
    rows[2, 2, 3, 5, 1] = -np.inf
    rows[3] = 0
    rows[4, 1] = rows[4, 1, :1, :, :]
    found = handler.infer({"channel": rows}, {})
    assert [error is None for error in found.row_errors] == [True, False, False, False, False, True]
    assert "NaN or infinity" in found.row_errors[1]
    assert "NaN or infinity" in found.row_errors[2]
    assert "all zeros" in found.row_errors[3]
    assert "subcarrier 1 has rank 1" in found.row_errors[4]
    assert not found.arrays["precoder"][1:5].any()
    for row in (0, 5):
        np.testing.assert_allclose(projectors(found.arrays["precoder"][row]), projectors(clean[row]), atol=1e-5)


@pytest.mark.parametrize("scale", [1e20, 1e-20, 1e-38])
def test_scale_changes_nothing(handler, scale):
    rows = channels()
    plain = handler.infer({"channel": rows}, {})
    scaled = handler.infer({"channel": (rows * np.float32(scale)).astype(np.float32)}, {})
    assert scaled.row_errors == [None] * 4
    for name in ("precoder", "combiner"):
        np.testing.assert_allclose(projectors(scaled.arrays[name]), projectors(plain.arrays[name]), atol=1e-4)


def test_rows_of_different_scale_share_a_batch(handler):
    rows = channels(2) * np.array([1e20, 1e-20], np.float32)[:, None, None, None, None]
    assert handler.infer({"channel": rows}, {}).row_errors == [None, None]


def test_an_absent_csi_snr_is_unknown_and_a_given_one_goes_on(handler):
    seen = []
    run = handler.programs["main"]
    handler.programs["main"] = lambda arrays: seen.append(arrays[1]) or run(arrays)
    handler.infer({"channel": channels(2)}, {})
    handler.infer({"channel": channels(2), "csi_snr_db": np.array([3, -7], np.float32)}, {})
    assert np.isnan(seen[0]).all()
    assert seen[0].dtype == np.float32
    assert seen[1].tolist() == [3, -7]


def test_weights_are_fully_digital_unless_rf_chains_are_asked_for(handler):
    digital = handler.infer({"channel": channels(2)}, {}, OUTPUTS).arrays
    assert digital["analog_precoder"].shape == (2, TRANSMIT, 0, 2)
    assert digital["baseband_combiner"].shape == (2, SUBCARRIERS, 0, STREAMS, 2)
    hybrid = handler.infer({"channel": channels(2)}, {"rf_chains": 3}, OUTPUTS).arrays
    assert hybrid["analog_precoder"].shape == (2, TRANSMIT, 3, 2)
    assert hybrid["baseband_precoder"].shape == (2, SUBCARRIERS, 3, STREAMS, 2)
    assert all(hybrid[name].all() for name in OUTPUTS[2:])


def test_failed_rows_are_zero_in_hybrid_outputs_too(handler):
    rows = channels(2)
    rows[0] = 0
    found = handler.infer({"channel": rows}, {"rf_chains": 2}, OUTPUTS).arrays
    assert all(not array[0].any() for array in found.values())
    assert found["analog_precoder"][1].all()
