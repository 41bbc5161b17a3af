import pytest

from training.language_model.corpus import read_docstrings, read_manual
from training.language_model.data import load_data, split_documents


def paragraphs(documents):
    words = {" ".join(part.split()) for document in documents for part in document.split("\n\n")}
    return {part for part in words if len(part) >= 20}


def test_the_manual_is_cut_by_chapters_and_no_paragraph_stands_in_two_parts(tmp_path):
    corpus = load_data("manual", tmp_path)
    parts = [paragraphs(part) for part in (corpus.train, corpus.validation, corpus.test)]
    assert [not one & other for one in parts for other in parts if one is not other] == [True] * 6
    sizes = [sum(map(len, part)) for part in (corpus.train, corpus.validation, corpus.test)]
    assert sizes[0] > 0.5 * sum(sizes)
    assert min(sizes) > 0.05 * sum(sizes)
    assert len(corpus.train) + len(corpus.validation) + len(corpus.test) == len(read_manual())


def test_a_held_out_paragraph_that_stands_elsewhere_too_is_not_trained_on():
    copied = "this paragraph was copied everywhere"
    documents = {f"{place}": f"{copied}\n\nof its own: paragraph {place}, and no other" for place in range(20)}
    corpus = split_documents("copies", documents)
    assert sum(copied in document for part in (corpus.train, corpus.validation, corpus.test) for document in part) == 1
    assert copied in corpus.test[0]


def test_docstrings_are_read_of_every_module_but_tests(tmp_path):
    (tmp_path / "one.py").write_text('"""First."""\ndef f():\n    """Second\n\n    line."""\nclass C:\n    x = "no"\n')
    (tmp_path / "empty.py").write_text("x = 1\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "two.py").write_text('"""Not read."""\n')
    assert read_docstrings(tmp_path) == {"one.py": "First.\n\nSecond\n\nline."}


def test_a_file_of_ones_own_is_cut_at_its_end(tmp_path):
    (tmp_path / "own.txt").write_bytes(
        "\r\n\r\n".join(f"paragraph number {place:03}, é" for place in range(30)).encode()
    )
    corpus = load_data("text:own.txt", tmp_path)
    assert corpus.test == ("\n\n".join(f"paragraph number {place:03}, é" for place in (27, 28, 29)),)
    assert corpus.validation[0].startswith("paragraph number 024")
    (tmp_path / "own.txt").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"own.txt is no UTF-8"):
        load_data("text:own.txt", tmp_path)
    (tmp_path / "own.txt").write_bytes(b"one\ntwo")
    with pytest.raises(ValueError, match=r"own.txt has 2 lines; a text to be cut into parts has 10 or more"):
        load_data("text:own.txt", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file or folder none.txt"):
        load_data("text:none.txt", tmp_path)
    with pytest.raises(ValueError, match="unknown data 'shakespeare'"):
        load_data("shakespeare", tmp_path)
