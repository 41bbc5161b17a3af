"""What holds for every test that trains."""

from __future__ import annotations

from functools import cache

import pytest

from training.images.glyphs import draw_glyphs


@pytest.fixture(scope="session", autouse=True)
def _glyphs_are_drawn_once():
    """Draw the same thousands of images once, not for every session: half a second each time."""
    drawn = cache(draw_glyphs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "training.images.datasets.draw_glyphs",
            lambda count, *, seed: tuple(array.copy() for array in drawn(count, seed=seed)),
        )
        yield


@pytest.fixture(scope="module")
def no_pictures():
    """Leave a classifier's pictures undrawn where nobody looks at them: they take longer than small trainings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.labels.record.draw_all", lambda *given: None)
        yield
