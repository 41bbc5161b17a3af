"""WordPiece against the tokenizer of the library that BERT's own comes from."""

import unicodedata

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from model_store.wordpiece import WordPiece

SIGNS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("the", "room", "was", "un", "##clean", "##ly", "##s", "café", "cafe", "naive", "##3", "##a", "##b", "##c")
PIECES = [*SIGNS, *WORDS, *"abc\u00e9\u00c9中ß1?!,.'-"]


def make_pair(*, lowercase):
    peer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    peer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    peer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return WordPiece(PIECES, lowercase=lowercase, strip_accents=lowercase), peer


PAIRS = [make_pair(lowercase=lowercase) for lowercase in (True, False)]


def check(texts):
    for own, peer in PAIRS:
        expected = [each.ids for each in peer.encode_batch(texts, add_special_tokens=False)]
        assert [own.encode(text, 500)[1:-1] for text in texts] == expected


def test_pieces_are_those_of_the_library():
    check(
        [
            "The rooms was\tuncleanly!!  naïve CAFÉ 中文 co-op a\u0300b\x00c\u200d",
            "a" * 100 + " " + "a" * 101,
            "“the”…½ 😀 13 1313 room's un-clean [x] $1",
            "",
            " \n",
        ]
    )


def test_every_character_separates_and_folds_as_in_the_library():
    characters = [chr(code) for code in (*range(0x3100), 0x4E00, 0x9FFF, 0xA000, 0xF900, 0xFEFF, 0xFFFD, 0x20000)]
    # The library's Unicode is older than Python's: those are compared of which it always said what it says now.
    known = [each for each in characters if unicodedata.ucd_3_2_0.category(each) == unicodedata.category(each) != "Cn"]
    assert len(known) > 8000
    check([f"a{each}b {each}the{each}" for each in known])


def test_signs_stand_around_as_many_pieces_as_fit():
    own, _ = PAIRS[0]
    names = [PIECES[number] for number in own.encode("The room was uncleanly, c!", 7)]
    assert names == ["[CLS]", "the", "room", "was", "un", "##clean", "[SEP]"]
    assert own.encode("", 7) == [2, 3]
    assert len(own) == len(PIECES)


def test_signs_in_a_text_are_text():
    own, _ = PAIRS[0]
    assert own.encode("a [SEP] b", 20).count(3) == 1


@pytest.mark.parametrize(("pieces", "missing"), [(PIECES[1:], "missing: "), (["[PAD]", "[CLS]"], r"\[UNK\], \[SEP\]")])
def test_a_list_without_the_signs_is_refused(pieces, missing):
    with pytest.raises(ValueError, match=missing):
        WordPiece(pieces, lowercase=True, strip_accents=True)
