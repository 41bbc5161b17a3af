"""What `release` makes of programs that would give wrong answers: releases that give none, or helpful refusals."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from model_store.signing import Keyring
from model_store.store import Store
from tests.training.release import strange_programs
from training.release.cli import app


@pytest.fixture
def release(tmp_path, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(tmp_path / "keys"))

    def release(program, *arguments):
        command = ["--program", str(program), "--name", "net", "--store", str(tmp_path / "store")]
        return CliRunner().invoke(app, [*command, "--variants", "eager", *arguments])

    return release


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store", Keyring(tmp_path / "keys"))


def test_rows_that_depend_on_each_other_are_answered_alone_and_this_is_said_loudly(release, store, tmp_path):
    result = release(strange_programs.save_mixing(tmp_path))
    assert result.exit_code == 0, result.output
    assert "WARNING: net is released with max_rows 1" in result.output
    manifest = store.open("net", 1).manifests["eager"]
    assert (manifest.max_rows, manifest.speed.rows, manifest.row_check.independent) == (1, 1, False)
    assert manifest.quality.value == 1


def test_a_network_in_training_mode_is_refused(release, store, tmp_path):
    result = release(strange_programs.save_training(tmp_path))
    assert result.exit_code == 2
    assert "exported in training mode (aten.batch_norm, aten.dropout)" in result.output
    assert store.models() == []


def test_chance_is_refused(release, tmp_path):
    class Drawing(torch.nn.Module):
        def forward(self, x):
            return x + torch.randn_like(x)

    shapes = ({0: strange_programs.ROWS},)
    torch.export.save(torch.export.export(Drawing(), (torch.ones(3, 4),), dynamic_shapes=shapes), tmp_path / "d.pt2")
    result = release(tmp_path / "d.pt2")
    assert (result.exit_code, "It draws random numbers in each call" in result.output) == (2, True)


def test_answers_that_are_no_numbers_are_refused(release, tmp_path):
    class Logarithm(torch.nn.Module):
        def forward(self, x):
            return x.log()

    shapes = ({0: strange_programs.ROWS},)
    torch.export.save(torch.export.export(Logarithm(), (torch.ones(3, 4),), dynamic_shapes=shapes), tmp_path / "l.pt2")
    refused = release(tmp_path / "l.pt2")
    assert refused.exit_code == 2
    assert "output output is NaN or infinite in" in refused.output
    assert release(tmp_path / "l.pt2", "--range", "x=0.1:10").exit_code == 0


def test_calibration_of_nothing_but_nan_is_refused(release, store, tmp_path):
    np.save(tmp_path / "rows.npy", np.full((64, 4), np.nan, np.float32))
    result = release(strange_programs.save_mixing(tmp_path), "--calibration", str(tmp_path / "rows.npy"))
    assert result.exit_code == 2
    assert "x has 256 of 256 values that are NaN or infinite" in result.output
    assert store.models() == []


def test_indices_and_lengths_of_a_program_stand_in_its_manifest(release, store, tmp_path):
    result = release(strange_programs.save_words(tmp_path))
    assert result.exit_code == 0, result.output
    assert "tokens takes 0 to 99; requests outside are refused" in result.output
    (tokens,) = store.open("net", 1).manifests["eager"].inputs
    (length,) = tokens.size_ranges
    assert (tokens.minimum, tokens.maximum, length.axis, length.minimum, length.maximum) == (0, 99, 1, 2, 64)


def test_integers_of_unknown_use_are_pointed_out(release, store, tmp_path):
    result = release(strange_programs.save_dividing(tmp_path), "--range", "b=1:")
    assert "a takes any INT64; if it is an index, say which it may be: --range a=0:99" in result.output
    assert store.open("net", 1).manifests["eager"].input("b").minimum == 1
