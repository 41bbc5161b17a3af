"""The benchmark's table: every engine with its time, its ratio to the first and what it reaches."""

import time

import pytest

from training.beamformer.baselines.digital import beamform_matched, beamform_svd
from training.beamformer.benchmark import compare
from training.beamformer.channel import ChannelModel
from training.beamformer.data import load_held_out

CHANNEL = load_held_out("generated", None, ChannelModel(), 4).channel


def test_times_ratios_and_quality_stand_side_by_side():
    def wait_and_beamform():
        time.sleep(0.2)
        return beamform_svd(CHANNEL)

    table = compare(CHANNEL, {"slow": wait_and_beamform, "matched": lambda: beamform_matched(CHANNEL)}, repeats=3)
    slow, matched = (line.split() for line in table.splitlines()[1:])
    assert float(slow[1]) >= 50
    assert float(slow[2]) == 1
    assert float(matched[2]) > 2
    assert float(slow[-1]) == pytest.approx(100, abs=0.01)
    assert 50 < float(matched[-1]) < 100
