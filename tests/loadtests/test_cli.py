import re
import sys

import pytest

from loadtests import cli


@pytest.fixture
def loadtest(monkeypatch, capsys):
    """Run the command as a shell would; gives exit status, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setenv("COLUMNS", "250")  # a box's lines would break wherever the store's path happens to end
        monkeypatch.setattr(sys, "argv", ["loadtest", *map(str, arguments)])
        monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return run


def test_an_unknown_model_is_named_with_what_there_is(loadtest, store):
    status, _, err = loadtest("run", "other", "--store", store.root)
    assert status == 2
    assert "no model 'other'" in err
    assert "it has double" in err


def test_an_empty_store_says_what_to_do(loadtest, tmp_path, keys):
    status, _, err = loadtest("run", "--store", tmp_path)
    assert status == 2
    assert "holds no release" in err


def test_an_unknown_preset_is_named(loadtest, store):
    status, _, err = loadtest("run", "double", "--store", store.root, "--preset", "huge")
    assert status == 2
    assert "'huge'" in err


def test_an_unknown_variant_of_a_load_test_is_named(loadtest, store):
    status, _, err = loadtest("run", "double", "--store", store.root, "--variants", "int8,fp8")
    assert status == 2
    assert "double release 1 has no variant 'fp8'; it has int8, eager" in err


def test_no_server_is_one_line(loadtest, store, tmp_path):
    status, _, err = loadtest(
        "run", "double", "--store", store.root, "--grpc-url", "127.0.0.1:1", "--out", tmp_path / "report"
    )
    assert status == 1
    assert "nothing answers at 127.0.0.1:1" in err


def test_a_scenario_without_a_server_is_one_line_too(loadtest, store, tmp_path):
    (tmp_path / "a.yaml").write_text(
        "name: a\nbound_ms: 5\ntargets: [{model: double}]\nload: {kind: soak, rate: 1, seconds: 1}"
    )
    where = ("--store", store.root, "--out", tmp_path / "report")
    status, _, err = loadtest("scenario", tmp_path / "a.yaml", *where, "--grpc-url", "127.0.0.1:1")
    assert status == 1
    assert re.fullmatch(r"loadtest: no server answers at 127\.0\.0\.1:1: .*; start one \(`serve`\) or .*\n", err)


def test_a_missing_variant_is_named(loadtest, store):
    status, _, err = loadtest("bench", "served", "double", "--variant", "bf16", "--store", store.root)
    assert status == 2
    assert "no variant 'bf16'" in err


@pytest.mark.parametrize("command", [(), ("bench",)])
def test_help_lists_the_commands(loadtest, command):
    status, out, _ = loadtest(*command, "--help")
    assert status == 0
    of_loadtest = ("run", "scenario", "diff", "ui", "report", "summary", "bench")
    wanted = ("int8", "served", "startup", "worker", "front-door") if command else of_loadtest
    assert all(f" {name} " in out for name in wanted)


def test_a_page_needs_an_ending_that_says_what_it_is(loadtest, tmp_path):
    status, _, err = loadtest("compare", tmp_path, "--out", tmp_path / "all.pdf")
    assert status == 2
    assert "neither .html nor .md" in err


@pytest.mark.parametrize("command", [["summary"], ["report"], ["compare"], ["diff", "also-none"]])
def test_a_folder_without_results_is_told_what_makes_one(loadtest, tmp_path, command):
    status, _, err = loadtest(*command, tmp_path / "none")
    assert status == 2
    assert "none is no load test's folder: results.json: No such file or directory; `loadtest run` makes one" in err
