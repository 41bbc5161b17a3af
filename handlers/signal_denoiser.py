"""Serve a signal denoiser: disturbed signals in, clean ones out.

Program: float32 [N, L] → float32 [N, L].
"""

from __future__ import annotations

from handlers.series import SeriesHandler


class SignalDenoiserHandler(SeriesHandler):
    """Input `signal` FP32 [N, L], NaN where a sample is missing; output `clean`."""
