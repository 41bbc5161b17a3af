from dataclasses import replace

import numpy as np
import pytest
import torch

from training.signal_denoiser.data import load_data


def test_held_out_signals_are_of_other_patients_and_always_disturbed_alike(tiny_recipe, tmp_path):
    first, second = (load_data("generated", tmp_path, tiny_recipe) for _ in range(2))
    assert torch.equal(first.test.noisy, second.test.noisy)
    rows = {row.numpy().tobytes() for part in (first.train, first.validation.clean, first.test.clean) for row in part}
    assert len(rows) == 60 + 20 + 40


def test_disturbances_are_as_strong_as_is_said(tiny_recipe, tmp_path):
    test = load_data("generated", tmp_path, replace(tiny_recipe, snr_db=(3.0, 9.0))).test
    power = [each.square().mean(1) for each in (test.clean, test.noisy - test.clean)]
    torch.testing.assert_close(10 * (power[0] / power[1]).log10(), test.snr_db, atol=1e-2, rtol=0)
    assert 3 <= test.snr_db.min() < test.snr_db.max() <= 9


def test_a_file_of_ones_own_is_cut_in_its_order(tiny_recipe, tmp_path):
    signals = np.random.default_rng(0).normal(5, 1, (20, 64))
    np.save(tmp_path / "own.npy", signals)
    data = load_data("array:own.npy", tmp_path, tiny_recipe)
    assert (data.name, data.num_samples) == ("own.npy", 64)
    torch.testing.assert_close(data.train, torch.from_numpy(signals[:14].astype(np.float32)))
    centred = signals[16:] - signals[16:].mean(1, keepdims=True)
    torch.testing.assert_close(data.test.clean, torch.from_numpy(centred.astype(np.float32)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), r"holds float64 \[5\]; give 10 signals or more, numbers \[N, L\]"),
        (np.zeros((12, 8)), "holds a signal that never changes"),
        (np.full((12, 8), np.nan), "what is no finite number"),
    ],
)
def test_what_holds_no_signals_is_refused(tiny_recipe, tmp_path, array, message):
    np.save(tmp_path / "own.npy", array)
    with pytest.raises(ValueError, match=message):
        load_data("array:own.npy", tmp_path, tiny_recipe)


def test_unknown_data_names_what_there_is(tiny_recipe, tmp_path):
    with pytest.raises(ValueError, match="unknown data 'mine'; use generated or array:FILE"):
        load_data("mine", tmp_path, tiny_recipe)
