"""Which kinds of model there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from training.gan import model
from training.models import list_kinds, load_model


def test_a_kind_is_found_by_its_folder():
    kinds = list_kinds()
    assert {"beamformer", "classifier", "gan", "seq2seq"} <= set(kinds)
    assert not {"engine", "images", "release"} & set(kinds)
    assert load_model("gan") is model.MODEL
    with pytest.raises(ValueError, match=f"unknown model 'gam'; there are: {', '.join(kinds)}"):
        load_model("gam")


def test_two_folders_of_one_kind_are_refused(monkeypatch):
    monkeypatch.setattr(model, "MODEL", replace(model.MODEL, kind="classifier"))
    with pytest.raises(ValueError, match=r"gan/model.py claims the kind 'classifier', which belongs to"):
        load_model("gan")


@pytest.mark.parametrize("kind", list_kinds())
def test_a_demo_bounds_its_threads(kind):
    # Its steps are so small that beside other work more threads make them take many times as long.
    assert 1 <= load_model(kind).presets["demo"].max_threads <= 2
