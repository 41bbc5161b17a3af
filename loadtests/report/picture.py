"""Pictures of a first answer: as PNG for the page, as half blocks for a terminal."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from rich.segment import Segment, Segments
from rich.style import Style

from loadtests.measure.answer import Picture

_MOST_COLUMNS = 64
_COLOUR_TYPES = {1: 0, 3: 2}


def make_png_url(picture: Picture) -> str:
    """Encode as a PNG inside a data: URL.

    Source: PNG specification (ISO/IEC 15948), one IDAT chunk, filter 0.
    """
    pixels = picture.pixels()
    head = struct.pack(">IIBBBBB", picture.width, picture.height, 8, _COLOUR_TYPES[picture.channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = (_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


def draw_in_terminal(picture: Picture) -> Segments:
    """Draw with two pixels a character; large pictures lose pixels."""
    pixels = picture.pixels()
    step = -(-picture.width // _MOST_COLUMNS)
    pixels = np.broadcast_to(pixels, (picture.height, picture.width, 3))[::step, ::step]
    pixels = pixels[: len(pixels) // 2 * 2]
    segments = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        segments += [
            Segment("▀", Style(color=_name_colour(over), bgcolor=_name_colour(under)))
            for over, under in zip(upper, lower, strict=True)
        ]
        segments.append(Segment.line())
    return Segments(segments)


def _name_colour(pixel: np.ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*pixel.tolist())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
