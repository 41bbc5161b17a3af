"""Serve an image generator: seeds or latents in, images out.

Options: see drawing.py.
Program: latents float32 [N, latent_size], and labels int64 [N] if there are classes → images uint8 [N, H, W, C].
"""

from __future__ import annotations

from handlers.drawing import DrawingHandler


class GanHandler(DrawingHandler):
    """Nothing of its own: the program draws in one go."""
