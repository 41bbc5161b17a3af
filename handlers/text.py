"""Texts as requests bring them."""

from __future__ import annotations

from handlers.base import RowError


def decode_text(data: bytes) -> str:
    """Turn bytes into a text.

    Raises:
        RowError: they are no UTF-8, or hold nothing but spaces.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RowError(f"the text is no UTF-8 (byte {error.start}); send UTF-8") from None
    if not text.strip():
        raise RowError("the text is empty; send at least one word")
    return text
