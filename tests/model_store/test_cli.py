import pytest
from typer.testing import CliRunner

from model_store.cli import app
from tests.builders import make_certificate


@pytest.fixture
def run(store, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(store.keyring.folder))

    def run(*arguments):
        return CliRunner().invoke(app, [*arguments, "--store", str(store.root)])

    return run


def test_lists_variants_with_the_default_first(run, add_release):
    add_release()
    assert run("list").output == "net/1  int8, eager  accuracy 0.9300 on digits test\n"


def test_list_of_an_empty_store_says_how_to_fill_it(run):
    assert "`release RUN` makes one" in run("list").output


def test_shows_a_manifest_in_words(run, add_release):
    add_release()
    output = run("show", "net/1-eager").output
    assert "net/1-eager (variant): a net" in output
    assert "accuracy 0.9300 (0.9200 … 0.9400), 2000 rows of digits test" in output
    assert "  learned   nobody checked: there is no baseline\n" in output
    assert "left out  bf16: this CPU has no BF16 instructions" in output


def test_shows_golden_rows(run, add_release, golden):
    add_release(golden=golden)
    add_release()
    assert "  golden    y for x: within 0.001\n" in run("show", "net/1-eager").output
    assert "  golden    y for x: equal\n" in run("show", "net/1-int8").output
    assert "  golden    none: released before there were golden rows\n" in run("show", "net/2").output


def test_shows_what_was_certified(run, add_release, store):
    add_release()
    assert "  certified" not in run("show", "net/1-int8").output
    store.certify(make_certificate(store.open("net", 1), "int8"))
    certified = (
        "  certified 700 rows/s within 30 ms (p99) by 1 worker(s) of 1 thread(s) on 2 cores of x86_64 with AVX2\n"
    )
    assert certified in run("show", "net/1-int8").output
    assert "  certified" not in run("show", "net/1-eager").output


def test_verify_fails_loudly(run, add_release, store):
    add_release()
    assert run("verify").output == "net/1 verified\n"
    (store.root / "net" / "1" / "net-1-int8.mar").write_bytes(b"other")
    result = run("verify", "net")
    assert result.exit_code == 1
    assert "net/1 DOES NOT VERIFY" in result.output


def test_removes_and_prunes(run, add_release, store):
    for _ in range(3):
        add_release()
    assert run("remove", "net/1").output == "removed net/1\n"
    assert run("prune", "--keep", "1").exit_code == 0
    assert store.releases("net") == [3]


def test_copies_a_release_and_verifies_the_copy(run, add_release, store, tmp_path):
    add_release()
    assert (
        run("copy", "net/1", "--to", str(tmp_path / "other")).output == f"copied net/1 to {tmp_path}/other, verified\n"
    )
    (store.root / "net" / "1" / "net-1-int8.mar").write_bytes(b"other")
    result = run("copy", "net/1", "--to", str(tmp_path / "third"))
    assert (result.exit_code, (tmp_path / "third" / "net" / "1").exists()) == (1, False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("copy", "net/9", "--to", "there"),
        ("remove", "net"),
        ("remove", "net/9"),
        ("show", "nothing"),
        ("verify", "nothing"),
    ],
)
def test_bad_names_exit_with_2(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.output.startswith("store: ")


def test_rolls_back_and_restores_by_signed_acts_that_are_shown(run, add_release, store):
    add_release()
    add_release()
    assert run("rollback", "net", "--why", "wrong labels").output == "withdrew net/2; net/1-int8 answers by default\n"
    assert "net/2  int8, eager  accuracy 0.9300 on digits test  withdrawn\n" in run("list").output
    assert ": wrong labels" in run("show", "net/2").output
    assert run("verify").output.endswith("net acts verified: 1\n")
    result = run("rollback", "net")
    assert (result.exit_code, "nothing to go back to from release 1" in result.output) == (2, True)
    assert run("restore", "net/2").output == "restored net/2\n"
    store.acts("net").folder.joinpath("2.json").write_text("{}")
    assert run("verify").exit_code == 1


def test_shows_all_variants_side_by_side_with_the_front_marked(run, add_release):
    speed = {"rows": 8, "rows_per_s": 400.0, "single_row_ms": 0.5, "threads": 1, "host": "here"}
    parent = {"run": "runs/wide", "value": 0.95, "interval": (0.94, 0.96), "size_bytes": 3_000_000, "speed": speed}
    add_release(variants={"eager": {}, "int8": {"speed": speed}}, parent=parent)
    lines = [line for line in run("show", "net").output.splitlines() if line.startswith("  frontier")]
    assert [" ".join(line.split()) for line in lines] == [
        "frontier eager 0.9300 (0.9200 … 0.9400) 100 rows/s 1.000 ms 1.0 MB",
        "frontier ◆ int8 0.9300 (0.9200 … 0.9400) 400 rows/s 0.500 ms 1.0 MB "
        "differences from eager count from 0.002 on",
        "frontier made from runs/wide 0.9500 (0.9400 … 0.9600) 400 rows/s 0.500 ms 3.0 MB",
    ]
