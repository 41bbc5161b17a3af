"""Byte pairs as GPT-2 writes text in them: every text is bytes, and pairs that often stand together are one piece.

Source: Radford et al. 2019, Language Models are Unsupervised Multitask Learners, section 2.2; openai/gpt-2, encoder.py.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

_SIGNS = 4  # padding, unknown, begin, end: this house's pieces come after them
_END_OF_TEXT = "<|endoftext|>"
_CONTRACTION = re.compile(r"'(?:s|t|re|ve|m|ll|d)")
# Of a text in which each character is replaced by its class: letter, number, space, other whitespace, anything else.
_WORD = re.compile(r" ?L+| ?N+| ?O+|[ W]+(?![^ W])|[ W]+")


class BytePairs:
    """Text ↔ piece numbers, called as sentencepiece's processor is."""

    def __init__(self, vocabulary: str, merges: str) -> None:
        """Take the contents of vocab.json and merges.txt."""
        numbers: dict[str, int] = json.loads(vocabulary)
        names = sorted(numbers, key=numbers.__getitem__)
        names.remove(_END_OF_TEXT)
        self._numbers = {name: _SIGNS + place for place, name in enumerate(names)}
        self._characters = _characters_of_bytes()
        bytes_of = {character: byte for byte, character in self._characters.items()}
        self._bytes = [bytes(bytes_of[character] for character in name) for name in names]
        pairs = (tuple(line.split()) for line in merges.splitlines() if line and not line.startswith("#version"))
        self._ranks = {pair: rank for rank, pair in enumerate(pairs)}
        self._encode_word = lru_cache(maxsize=50_000)(self._merge)

    def get_piece_size(self) -> int:
        """Count all pieces, signs included."""
        return _SIGNS + len(self._bytes)

    def encode(self, text: str) -> list[int]:
        """Turn text into piece numbers, without an end sign."""
        return [piece for word in _split_words(text) for piece in self._encode_word(word)]

    def decode(self, pieces: Iterable[int]) -> str:
        """Turn piece numbers into text; signs are nothing, bytes that are no UTF-8 are �."""
        data = b"".join(self._bytes[piece - _SIGNS] for piece in pieces if piece >= _SIGNS)
        return data.decode(errors="replace")

    def _merge(self, word: str) -> tuple[int, ...]:
        """Join the pair that was learned first, again and again."""
        parts = [self._characters[byte] for byte in word.encode()]
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            joined, place = [], 0
            while place < len(parts):
                if tuple(parts[place : place + 2]) == best:
                    joined.append("".join(best))
                    place += 2
                else:
                    joined.append(parts[place])
                    place += 1
            parts = joined
        return tuple(self._numbers[part] for part in parts)


def _split_words(text: str) -> list[str]:
    classes = "".join(_class_of(character) for character in text)
    words, place = [], 0
    while place < len(text):
        match = _CONTRACTION.match(text, place) or _WORD.match(classes, place)
        assert match is not None
        words.append(text[place : match.end()])
        place = match.end()
    return words


def _class_of(character: str) -> str:
    if character.isspace():
        return " " if character == " " else "W"
    category = unicodedata.category(character)[0]
    return category if category in "LN" else "O"


def _characters_of_bytes() -> dict[int, str]:
    """A visible character for each byte: itself where it is one."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}
