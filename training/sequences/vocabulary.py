"""Pieces of text, learned by sentencepiece, one vocabulary for all texts of a run: subwords or single characters."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sentencepiece

PAD, UNKNOWN, BEGIN, END = 0, 1, 2, 3


class Vocabulary:
    """Text ↔ piece numbers. `lowercase` folds text before it is encoded, in training and in serving."""

    def __init__(self, model: bytes, *, lowercase: bool) -> None:
        """Take a serialized sentencepiece model."""
        self.model = model
        self.lowercase = lowercase
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def encode(self, texts: Sequence[str], max_pieces: int | None = None) -> list[list[int]]:
        """Turn texts into piece numbers, at most so many, the end sign included."""
        folded = [text.lower() for text in texts] if self.lowercase else list(texts)
        most = None if max_pieces is None else max_pieces - 1
        return [[*pieces[:most], END] for pieces in self._processor.encode(folded)]

    def decode(self, pieces: Sequence[Sequence[int]]) -> list[str]:
        """Turn piece numbers back into texts; signs such as the end are dropped."""
        return [self._processor.decode([piece for piece in row if piece > END]) for row in pieces]

    def names(self) -> list[str]:
        """The pieces' names in the order of their numbers."""
        return self.name_pieces(range(len(self)))

    def name_pieces(self, pieces: Iterable[int]) -> list[str]:
        """Turn piece numbers into names, in which ▁ stands for a space."""
        return [str(self._processor.id_to_piece(piece)) for piece in pieces]

    def decode_names(self, names: Sequence[str]) -> str:
        """Turn names of pieces back into text."""
        return str(self._processor.decode_pieces(list(names)))

    def save(self, path: Path) -> None:
        path.write_bytes(self.model)


def learn_vocabulary(texts: Iterable[str], size: int, *, lowercase: bool) -> Vocabulary:
    """Learn a byte-pair encoding with exactly `size` pieces; any Unicode can be written in it, as bytes at worst.

    Digits stand alone, so that numbers can be copied.

    Raises:
        ValueError: the texts have too few different words for so many pieces.
    """
    folded = (text.lower() if lowercase else text for text in texts)
    return Vocabulary(
        _learn(folded, model_type="bpe", vocab_size=size, normalization_rule_name="nmt_nfkc"), lowercase=lowercase
    )


def learn_exact_vocabulary(lines: Iterable[str], size: int) -> Vocabulary:
    """Learn pieces of which any text can be put together to the letter: spaces, line breaks and capitals are kept.

    `size` subwords, or with 0 one piece for each character of the lines (and bytes for all others).

    Raises:
        ValueError: the lines have too few different words for so many pieces.
    """
    form = {"model_type": "bpe", "vocab_size": size} if size else {"model_type": "char", "use_all_vocab": True}
    exactly = {
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "user_defined_symbols": ["\n"],
    }
    return Vocabulary(_learn(lines, **form, **exactly), lowercase=False)


def _learn(texts: Iterable[str], **form: Any) -> bytes:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            **form,
            sentence_iterator=iter(texts),
            model_writer=model,
            character_coverage=1.0,
            byte_fallback=True,
            split_digits=True,
            pad_id=PAD,
            unk_id=UNKNOWN,
            bos_id=BEGIN,
            eos_id=END,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        size = form.get("vocab_size")
        raise ValueError(f"no vocabulary of {size} pieces can be learned, lower vocabulary_size: {error}") from None
    return model.getvalue()
