"""WordPiece: the subwords of BERT and its kin, from their list of pieces alone, in training and in workers.

Source: Wu et al. 2016, arXiv:1609.08144, section 4.1; Devlin et al. 2018, arXiv:1810.04805. Signs such as [SEP] that
stand in a text are text here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

_LONGEST_WORD = 100  # of characters; longer ones are unknown
INSIDE = "##"  # in front of a piece that does not begin a word


class WordPiece:
    """Text → piece numbers: the sign of the beginning, the pieces, the sign of the end."""

    def __init__(self, pieces: Sequence[str], *, lowercase: bool, strip_accents: bool) -> None:
        """Take the pieces in the order of their numbers.

        Raises:
            ValueError: [UNK], [CLS] or [SEP] is not among them, or [PAD] is not the first.
        """
        self._numbers = {piece: number for number, piece in enumerate(pieces)}
        missing = [sign for sign in ("[UNK]", "[CLS]", "[SEP]") if sign not in self._numbers]
        if missing or self._numbers.get("[PAD]") != 0:
            raise ValueError(f"not WordPiece as BERT has it: [PAD] must be piece 0; missing: {', '.join(missing)}")
        self._unknown, self._begin, self._end = (self._numbers[sign] for sign in ("[UNK]", "[CLS]", "[SEP]"))
        self._lowercase, self._strip_accents = lowercase, strip_accents

    def __len__(self) -> int:
        return len(self._numbers)

    def encode(self, text: str, max_pieces: int) -> list[int]:
        """Turn a text into piece numbers, at most so many with both signs; what does not fit is left away."""
        pieces = [self._begin]
        for word in self._split(text):
            pieces += self._cut(word)
            if len(pieces) >= max_pieces:
                break
        return [*pieces[: max_pieces - 1], self._end]

    def _split(self, text: str) -> Iterator[str]:
        """Words and single marks of punctuation or Chinese, folded."""
        words = "".join(_clean(character) for character in text)
        if self._strip_accents:
            words = "".join(c for c in unicodedata.normalize("NFD", words) if unicodedata.category(c) != "Mn")
        if self._lowercase:
            words = words.lower()
        for word in words.split():
            start = 0
            for place, character in enumerate(word):
                if _is_punctuation(character):
                    if start < place:
                        yield word[start:place]
                    yield character
                    start = place + 1
            if start < len(word):
                yield word[start:]

    def _cut(self, word: str) -> list[int]:
        """The longest piece that the rest of a word begins with, again and again."""
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        pieces, start = [], 0
        while start < len(word):
            prefix = INSIDE if start else ""
            for end in range(len(word), start, -1):
                number = self._numbers.get(prefix + word[start:end])
                if number is not None:
                    pieces.append(number)
                    start = end
                    break
            else:
                return [self._unknown]
        return pieces


def _clean(character: str) -> str:
    """A space for what separates and around Chinese characters, nothing for control characters."""
    if character in "\t\n\r":
        return " "
    if character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if character.isspace():
        return " "
    return f" {character} " if _is_chinese(ord(character)) else character


_CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F)),
    *((0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


def _is_chinese(code: int) -> bool:
    return any(low <= code <= high for low, high in _CHINESE)


def _is_punctuation(character: str) -> bool:
    return (character.isascii() and character.isprintable() and not character.isalnum() and character != " ") or (
        unicodedata.category(character).startswith("P")
    )
