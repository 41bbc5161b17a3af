"""Baselines against the figures of the published simulation, in percent of the optimum at a data SNR of 0 dB.

The bands are for few channels: ± 0.5 to 3 points where the figure is known to a tenth.
"""

import math

import pytest
import torch

from training.beamformer.baselines.hybrid import alternate_phases
from training.beamformer.baselines.manifold import alternate_on_manifold
from training.beamformer.channel import ChannelModel
from training.beamformer.contenders import Observation, digital_baselines, hybrid_baselines
from training.beamformer.data import load_held_out, observe
from training.beamformer.metrics import measure_optimum, measure_spectral_efficiency

MODEL = ChannelModel()
HELD_OUT = load_held_out("generated", None, MODEL, 24)


def percent(weights):
    reached = measure_spectral_efficiency(HELD_OUT.channel, *weights, 0.0)
    return float(100 * reached.sum() / measure_optimum(HELD_OUT.channel, 0.0).sum())


def observation(csi_snr_db):
    return Observation(observe(HELD_OUT.channel, csi_snr_db), csi_snr_db, HELD_OUT.rays, MODEL)


@pytest.mark.parametrize(
    ("csi_snr_db", "method", "expected", "band"),
    [
        (0.0, "SVD", 97.7, 0.6),
        (-10.0, "SVD", 74.4, 5),
        (-10.0, "singular-value shrinkage", 93.2, 1.5),
        (0.0, "per-cluster HOSVD", 99.6, 0.3),
        (-10.0, "per-cluster HOSVD", 96.5, 1.0),
        (-10.0, "multilinear Wiener", 97.45, 1.0),
        (-10.0, "genie: span of angles", 99.0, 0.6),
    ],
)
def test_digital_baselines_reach_their_figures(csi_snr_db, method, expected, band):
    weights = digital_baselines(observation(csi_snr_db))[method]()
    assert percent(weights) == pytest.approx(expected, abs=band)


def test_a_genie_that_knows_the_pairs_of_angles_is_better_than_one_that_does_not():
    methods = digital_baselines(observation(-15.0))
    assert percent(methods["genie: path gains"]()) > percent(methods["genie: span of angles"]()) + 0.5


@pytest.mark.parametrize(
    ("num_chains", "method", "expected", "band"),
    [
        (4, "MO-AltMin", 98.0, 0.7),
        (2, "MO-AltMin", 88.3, 2.5),
        (4, "phase AltMin, 30 sweeps", 98.4, 0.6),
        (2, "phase AltMin, 30 sweeps", 90.1, 2.5),
        (4, "OMP", 93.5, 2.5),
        (4, "PE-AltMin", 91.3, 3),
    ],
)
def test_hybrid_baselines_reach_their_figures(num_chains, method, expected, band):
    weights = hybrid_baselines(observation(math.inf), num_chains)[method]()
    assert percent(weights) == pytest.approx(expected, abs=band)
    torch.testing.assert_close(
        torch.linalg.matrix_norm(weights[0]).square(), torch.full((24, 5), 2.0), rtol=1e-4, atol=0
    )


def test_analog_parts_have_constant_modulus():
    targets = digital_baselines(observation(math.inf))["SVD"]()[0][:3]
    for analog in (torch.from_numpy(alternate_on_manifold(targets.numpy(), 3)), alternate_phases(targets, 3)):
        torch.testing.assert_close(analog.abs(), torch.full((3, 144, 3), 1 / 12), rtol=1e-4, atol=0)
