"""Pictures of explanations: images under what speaks for their label, signals over it.

Dimensions: H, W, C of an image, L samples. Colours and strengths are those of the console's page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from services.client.explanation import Explanation
from services.client.images import as_picture

if TYPE_CHECKING:
    from PIL.Image import Image

_FOR, _AGAINST = (255, 106, 26), (45, 125, 255)
_OPACITY = 0.75
_LEAST_SIDE_PX = 224
_SIGNAL_PX, _MARGIN_PX = (640, 160), 8


def draw_explanations(explanations: Sequence[Explanation], path: Path) -> None:
    """Draw all below each other and save them; of an image first itself, then what counts in it.

    Raises:
        ValueError: they are of texts, or the suffix is that of no picture.
    """
    from PIL import Image

    if explanations[0].kind == "text":
        raise ValueError("what counts in a text is printed, not drawn; leave out --out, --json prints all numbers")
    draw = _draw_image if explanations[0].kind == "image" else _draw_signal
    pictures = [draw(each) for each in explanations]
    sheet = Image.new("RGB", (max(each.width for each in pictures), sum(each.height for each in pictures)))
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    sheet.save(path)


def colour_places(places: np.ndarray) -> np.ndarray:
    """Colour places float32 of any shape: orange speaks for the label, blue against it, weak ones stay clear.

    Returns uint8 of that shape and four channels, the last of which is opacity.
    """
    strength = (np.abs(places) / max(float(np.abs(places).max()), 1e-12)) ** 0.7
    colours = np.where(places[..., None] < 0, _AGAINST, _FOR)
    return np.concatenate([colours, np.rint(255 * strength)[..., None]], -1).astype(np.uint8)


def _draw_image(explanation: Explanation) -> Image:
    from PIL import Image

    plain = as_picture(explanation.seen).convert("RGB")
    overlay = Image.fromarray(colour_places(explanation.places))
    overlay.putalpha(overlay.getchannel("A").point(lambda level: round(_OPACITY * level)))
    shown = plain.copy()
    shown.paste(overlay, mask=overlay)
    pair = Image.new("RGB", (2 * plain.width, plain.height))
    pair.paste(plain)
    pair.paste(shown, (plain.width, 0))
    times = -(-_LEAST_SIDE_PX // min(plain.size))
    return pair.resize((times * pair.width, times * pair.height), Image.Resampling.NEAREST)


def _draw_signal(explanation: Explanation) -> Image:
    from PIL import Image, ImageDraw

    width, height = _SIGNAL_PX
    bands = Image.fromarray(colour_places(explanation.places)[None]).resize(_SIGNAL_PX, Image.Resampling.NEAREST)
    picture = Image.new("RGB", _SIGNAL_PX, "white")
    picture.paste(bands, mask=bands)
    signal = explanation.seen
    heights = (signal - signal.min()) / max(float(np.ptp(signal)), 1e-12)
    across = (np.arange(len(signal)) + 0.5) * width / len(signal)
    down = height - _MARGIN_PX - (height - 2 * _MARGIN_PX) * heights
    ImageDraw.Draw(picture).line(list(zip(across.tolist(), down.tolist(), strict=True)), fill="black", width=2)
    return picture
