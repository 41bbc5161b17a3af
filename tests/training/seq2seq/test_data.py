import json

import pytest

from training.seq2seq.data import load_data
from training.seq2seq.parallel_text import read_pairs


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_phrases_of_the_test_part_never_train(tmp_path):
    data = load_data("phrases", tmp_path, num_validation=100)
    trained = {english for english, _ in data.train}
    assert not trained & {english for english, _ in data.test + data.validation}
    assert (len(data.test), len(data.validation)) == (1000, 100)
    assert len(data.train) > 20_000


def test_text_files_are_split_the_same_way_in_every_run(corpus):
    data = load_data("text:toy.en,toy.fr", corpus, num_validation=20)
    assert data.test == load_data("text:toy.en,toy.fr", corpus, num_validation=20).test
    assert (len(data.validation), len(data.test)) == (20, 20)
    assert not {pair[0] for pair in data.train} & {pair[0] for pair in data.validation + data.test}


def test_a_small_text_gives_a_tenth_each_for_validation_and_test(corpus):
    data = load_data("text:toy.en,toy.fr", corpus, num_validation=1000)
    num_pairs = len(set(read_pairs(corpus / "toy.en", corpus / "toy.fr")))
    assert len(data.validation) == len(data.test) == num_pairs // 10


def test_multi30k_is_read_from_its_usual_layout(tmp_path):
    for part in ("train", "val", "test_2016_flickr", "test_2017_mscoco"):
        write(tmp_path, **{f"{part}__en": f"A {part}.\nTwo.\n", f"{part}__fr": f"Un {part}.\nDeux.\n"})
    data = load_data(f"multi30k:{tmp_path.name}", tmp_path.parent, num_validation=1)
    assert data.train == [("A train.", "Un train."), ("Two.", "Deux.")]
    assert data.validation == [("A val.", "Un val.")]
    assert data.test[0] == ("A test_2016_flickr.", "Un test_2016_flickr.")
    assert list(data.further_tests) == ["test_2017_mscoco"]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a\nb\n", "a\n", r"has 2 lines and .* has 1.*; line 2 of s has no partner in t"),
        ("a\n\nc\n", "a\nb\nc\n", r"s, line 2: it is empty"),
        ("a\nb\n", b"a\n\xe9t\xe9\n", r"t, line 2: byte 0xe9 at column 1 is no UTF-8"),
        ("a\n", "a\n".encode("utf-16-be"), r"line 1: .*zero byte"),
        ("", "", r"s, line 1: it is empty"),
    ],
)
def test_unusable_text_is_refused_with_its_line(tmp_path, source, target, message):
    write(tmp_path, s=source, t=target)
    with pytest.raises(ValueError, match=message):
        read_pairs(tmp_path / "s", tmp_path / "t")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    write(tmp_path, s=b"\xef\xbb\xbfone\r\ntwo\r\n", t="un\ndeux")
    assert read_pairs(tmp_path / "s", tmp_path / "t") == [("one", "un"), ("two", "deux")]


def test_summaries_are_read_from_exports_of_either_layout(tmp_path):
    xsum = [{"document": "One.\nTwo.", "summary": "1 and 2", "id": 7}, {"document": "A test.", "summary": "x"}]
    write(tmp_path, train__jsonl="".join(json.dumps(row) + "\n" for row in xsum))
    write(tmp_path, val__tsv='article\thighlights\n"Three ""3"""\tThree\nFour\t4\n')
    write(tmp_path, test__json=json.dumps({"article": "A test.", "highlights": "Tested."}))
    data = load_data(f"summaries:{tmp_path.name}", tmp_path.parent, num_validation=1)
    assert data.train == [("One. Two.", "1 and 2")]  # the other's document is in the test part
    assert data.validation == [('Three "3"', "Three")]
    assert data.test == [("A test.", "Tested.")]


def test_one_file_of_summaries_is_divided(tmp_path):
    write(tmp_path, news__jsonl="\n".join(json.dumps({"text": f"d {n}", "summary": f"s {n}"}) for n in range(40)))
    data = load_data("summaries:news.jsonl", tmp_path, num_validation=100)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [32, 4, 4]
    assert all(document[1:] == summary[1:] for document, summary in data.train)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"document": "a", "summary": "b"}\n{"document": "a"', r"a\.jsonl, line 2: it is no JSON"),
        ("a.jsonl", "[1]", r"line 1: it is a list; each line is an object"),
        (
            "a.jsonl",
            '{"document": "a", "summary": " "}',
            r"line 1: it has no text under summary or highlights; it has doc",
        ),
        ("a.tsv", "document\tsummary\na\tb\nc\n", r"a\.tsv, line 3: it has no text under summary"),
        ("a.jsonl", b'{"document": "\xe9"}', r"line 1: byte 0xe9"),
        ("a.csv", "document,summary", r"a\.csv is no \.jsonl or"),
    ],
)
def test_unusable_summaries_are_refused_with_their_line(tmp_path, name, content, message):
    write(tmp_path, **{name.replace(".", "__"): content})
    with pytest.raises(ValueError, match=message):
        load_data(f"summaries:{name}", tmp_path, num_validation=1)


def test_a_missing_part_of_summaries_is_named(tmp_path):
    write(tmp_path, train__jsonl='{"document": "a", "summary": "b"}')
    with pytest.raises(FileNotFoundError, match=r"has no file validation that ends with \.jsonl or"):
        load_data(f"summaries:{tmp_path}", tmp_path, num_validation=1)


@pytest.mark.parametrize("source", ["nonsense", "text", "text:a", "multi30k", "phrases:x", "reports:x", "summaries"])
def test_an_unknown_source_is_refused(tmp_path, source):
    with pytest.raises(ValueError, match="text:"):
        load_data(source, tmp_path, num_validation=1)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.en does not exist"):
        load_data("text:a.en,a.fr", tmp_path, num_validation=1)
