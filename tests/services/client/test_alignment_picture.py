import numpy as np
import pytest
from PIL import Image

from services.client.alignment_picture import draw_alignment
from services.client.translation import Alignment


def test_dark_fields_show_where_each_target_piece_was_read(tmp_path):
    weights = np.zeros((2, 3))
    weights[0, 2] = weights[1, 0] = 1.0
    draw_alignment(
        Alignment(("▁two", "▁dogs", "</s>"), ("▁$deux", "▁chiens$"), tuple(map(tuple, weights.tolist()))),
        tmp_path / "alignment.png",
    )
    grey = np.asarray(Image.open(tmp_path / "alignment.png").convert("L")).astype(float)
    dark = grey < 40
    top, bottom = np.flatnonzero(dark.mean(1) > 0.2)[[0, -1]]
    left, right = np.flatnonzero(dark.mean(0) > 0.2)[[0, -1]]
    fields = [np.array_split(row, 3, axis=1) for row in np.array_split(grey[top:bottom, left:right], 2)]
    np.testing.assert_allclose([[1 - field.mean() / 255 for field in row] for row in fields], weights, atol=0.1)


def test_an_empty_translation_has_no_picture(tmp_path):
    with pytest.raises(ValueError, match="the translation is empty"):
        draw_alignment(Alignment(("</s>",), (), ()), tmp_path / "alignment.png")
