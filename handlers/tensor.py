"""Serve any program whose inputs and outputs are tensors, exactly as they are."""

from __future__ import annotations

from handlers.base import Handler


class TensorHandler(Handler):
    """Hand tensors to the program and back: every step is the contract's default."""
