import pytest

from training.text_classifier.data import load_data


def load(source, root):
    return load_data(source, root, validation_fraction=0.25)


def write_folder(root, counts):
    for label, count in counts.items():
        (root / label).mkdir(parents=True)
        for number in range(count):
            (root / label / f"{number}_7.txt").write_text(f"{label} {root.name} {number}")


def test_the_layout_of_aclimdb_is_read(tmp_path):
    write_folder(tmp_path / "aclImdb" / "train", {"pos": 8, "neg": 8, "unsup": 3})
    write_folder(tmp_path / "aclImdb" / "test", {"pos": 3, "neg": 2})
    data = load("folder:aclImdb", tmp_path)
    assert (data.name, data.labels) == ("aclImdb", ("neg", "pos"))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [12, 4, 5]
    assert {text.split()[0]: int(label) for text, label in zip(data.test.texts, data.test.labels, strict=True)} == {
        "neg": 0,
        "pos": 1,
    }
    assert all("unsup" not in text for text in data.train.texts)


def test_a_folder_without_parts_is_cut_in_the_same_way_each_time(tmp_path):
    write_folder(tmp_path / "own", {"a": 10, "b": 10})
    first, again = load("folder:own", tmp_path), load(f"folder:{tmp_path / 'own'}", tmp_path)
    assert first.test.texts == again.test.texts
    assert [len(part) for part in (first.train, first.validation, first.test)] == [12, 4, 4]
    assert len({*first.train.texts, *first.validation.texts, *first.test.texts}) == 20


def test_the_layout_of_ag_news_is_read(tmp_path):
    lines = [f'"{n % 2 + 3}","Title {n}","Text, with ""quotes"" {n}\\and so on"' for n in range(20)]
    (tmp_path / "ag_news").mkdir()
    (tmp_path / "ag_news" / "train.csv").write_text("\n".join(lines))
    (tmp_path / "ag_news" / "test.csv").write_text('"3","New","Yes"\n"4","Other","No"\n')
    assert load("table:ag_news", tmp_path).labels == ("3", "4")
    (tmp_path / "ag_news" / "classes.txt").write_text("World\nSports\nBusiness\nSci/Tech\n")
    data = load("table:ag_news", tmp_path)
    assert data.labels == ("Business", "Sci/Tech")
    assert (data.test.texts, data.test.labels.tolist()) == (("New Yes", "Other No"), [0, 1])
    assert 'Title 4 Text, with "quotes" 4\\and so on' in {*data.train.texts, *data.validation.texts}


@pytest.mark.parametrize(("suffix", "between"), [(".csv", ","), (".tsv", "\t")])
def test_a_header_names_the_columns(tmp_path, suffix, between):
    rows = [between.join((str(n), f"text {n}", ("no", "yes")[n % 2])) for n in range(10)]
    (tmp_path / f"own{suffix}").write_text("\n".join([between.join(("id", "Text", "Label")), *rows]))
    data = load(f"table:own{suffix}", tmp_path)
    assert data.labels == ("no", "yes")
    numbers = {text: int(label) for text, label in zip(data.train.texts, data.train.labels, strict=True)}
    assert all(label == int(text.split()[1]) % 2 for text, label in numbers.items())


def test_what_is_tested_with_never_trains_and_nothing_trains_twice(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "train.csv").write_text("".join(f"{n % 2},text {n % 12}\n" for n in range(16)))
    (tmp_path / "a" / "test.csv").write_text("0,text 4\n1,text 5\n")
    data = load("table:a", tmp_path)
    trained = [*data.train.texts, *data.validation.texts]
    assert len(trained) == len(set(trained)) == 10
    assert not set(trained) & set(data.test.texts)
    assert "a: 6 training texts are repeated or held out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x\n", "a.csv has one column; a label and a text are needed"),
        ("a.csv", "label,id\nx,1\n", "a.csv has no column of text; name one text"),
        ("a.csv", "a,b c\nb\n", "a.csv line 2 has 1 cells, the first line has more"),
        ("a.csv", "a,b c\n,d\n", "a.csv line 2 has an empty label"),
        ("a.csv", "a,b c\nb,\n", "a.csv line 2 has an empty text"),
        ("a.csv", "a,b\na,c\n", "a.csv has 1 different labels"),
        ("a/train.csv", "1,b\n9,c\n", r"train.csv line 2 has label 9; classes.txt names 1 to 2"),
        ("a/other.csv", "", "a holds no train.csv or train.tsv"),
    ],
)
def test_tables_that_hold_no_labelled_text_are_refused(tmp_path, name, content, message):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "classes.txt").write_text("one\ntwo\n")
    (tmp_path / name).write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(f"table:{name.split('/')[0]}", tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("csv:a", "unknown data 'csv:a'; use opinions, folder:PATH or table:PATH"),
        ("folder:", "unknown data 'folder:'"),
        ("folder:none", "no file or folder none, neither here nor in"),
        ("folder:empty", r"empty holds \.txt files of 0 labels; two or more are needed"),
        ("folder:latin", r"a\.txt is no UTF-8 \(byte 1\)"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, source, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin" / "a").mkdir(parents=True)
    (tmp_path / "latin" / "a" / "a.txt").write_bytes("né".encode("latin1"))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(source, tmp_path)
