import math

import pytest
import torch

from training.beamformer.baselines.digital import beamform_matched, beamform_svd
from training.beamformer.channel import ChannelModel, sample_channels
from training.beamformer.metrics import measure_optimum, measure_spectral_efficiency
from training.beamformer.objective import measure_gap, pair_spectral_efficiency
from training.beamformer.paired import to_pair

CHANNEL = sample_channels(ChannelModel(), 4, torch.Generator().manual_seed(1))


def rotation():
    return torch.linalg.qr(torch.randn(2, 2, dtype=torch.complex64, generator=torch.Generator().manual_seed(2)))[0]


def test_a_diagonal_channel_has_the_rate_of_its_gains():
    channel = torch.zeros(1, 1, 3, 4, dtype=torch.complex64)
    channel[0, 0, 0, 0], channel[0, 0, 1, 1] = 3, 2
    precoder = torch.eye(4, 2, dtype=torch.complex64)[None, None]
    combiner = torch.eye(3, 2, dtype=torch.complex64)[None, None]
    expected = math.log2(1 + 10 / 2 * 9) + math.log2(1 + 10 / 2 * 4)
    assert float(measure_spectral_efficiency(channel, precoder, combiner, 10.0)) == pytest.approx(expected, rel=1e-5)
    assert float(measure_optimum(channel, 10.0)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("data_snr_db", [0.0, -20.0])
def test_svd_reaches_the_optimum_and_nothing_else_does(data_snr_db):
    optimum = measure_optimum(CHANNEL, data_snr_db)
    reached = measure_spectral_efficiency(CHANNEL, *beamform_svd(CHANNEL), data_snr_db)
    torch.testing.assert_close(reached, optimum, rtol=1e-3, atol=1e-3)
    assert (measure_spectral_efficiency(CHANNEL, *beamform_matched(CHANNEL), data_snr_db) < 0.99 * optimum).all()


def test_optimum_at_0_db_is_that_of_the_published_simulation():
    channel = sample_channels(ChannelModel(), 100, torch.Generator().manual_seed(3))
    assert float(measure_optimum(channel, 0.0).mean()) == pytest.approx(18.8, abs=0.4)


def test_rate_ignores_rotated_streams_and_any_invertible_mixture_in_the_combiner():
    precoder, combiner = beamform_matched(CHANNEL)
    mixture = torch.tensor([[2.0, 1j], [0.5, 3.0]], dtype=torch.complex64)
    plain = measure_spectral_efficiency(CHANNEL, precoder, combiner, 0.0)
    torch.testing.assert_close(
        measure_spectral_efficiency(CHANNEL, precoder @ rotation(), combiner @ mixture, 0.0), plain, rtol=1e-3, atol=0
    )


def test_training_measures_what_evaluation_measures():
    precoder, combiner = beamform_svd(CHANNEL + 3 * torch.randn_like(CHANNEL))
    pairs = [to_pair(each.flatten(0, 1)) for each in (CHANNEL, precoder, combiner)]
    for data_snr_db in (0.0, -20.0):
        torch.testing.assert_close(
            pair_spectral_efficiency(*pairs, data_snr_db, 5),
            measure_spectral_efficiency(CHANNEL, precoder, combiner, data_snr_db),
            rtol=1e-3,
            atol=1e-3,
        )


def test_gap_of_optimal_weights_is_zero():
    channel, precoder, combiner = (to_pair(each.flatten(0, 1)) for each in (CHANNEL, *beamform_svd(CHANNEL)))
    assert measure_gap(channel, (precoder, combiner), (precoder, combiner), 5).abs().max() == 0
