from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, clear_run, finish_run, read_run, read_stop, start_run, stop_run


@dataclass(frozen=True)
class Recipe:
    widths: tuple[int, ...] = (1, 2)


def options(out):
    return TrainOptions(model="m", preset="demo", data="d", data_root=Path("data"), out=out, seed=3, command="train m")


def test_records_what_was_asked_and_what_came_out(tmp_path):
    run = start_run(options(tmp_path / "r"), Recipe())
    finish_run(run, {"accuracy": 0.5})
    record = json.loads((run / "run.json").read_text())
    assert {key: record[key] for key in ("model", "preset", "data", "seed", "command")} == {
        "model": "m",
        "preset": "demo",
        "data": "d",
        "seed": 3,
        "command": "train m",
    }
    assert record["recipe"] == {"widths": [1, 2]}
    assert record["metrics"] == {"accuracy": 0.5}


def test_refuses_a_folder_that_holds_a_run(tmp_path):
    start_run(options(tmp_path), Recipe())
    with pytest.raises(FileExistsError, match="use --resume, --overwrite, or another --out"):
        start_run(options(tmp_path), Recipe())
    assert start_run(replace(options(tmp_path), resume=True), Recipe()) == tmp_path


def test_clears_only_runs(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileNotFoundError, match="is no training run"):
        clear_run(tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    with pytest.raises(FileNotFoundError, match="is no training run"):
        read_run(tmp_path / "nowhere")


def test_a_run_that_is_made_longer_is_unfinished_again_and_remembers_what_it_was(tmp_path):
    run = finish(tmp_path, {"accuracy": 0.5})
    (run / NETWORK).write_bytes(b"weights")
    start_run(replace(options(run), resume=True), Recipe())
    assert read_run(run)["finished"]
    start_run(replace(options(run), resume=True, command="train m --resume"), Recipe(widths=(1, 3)))
    record = read_run(run)
    assert (record["finished"], record["metrics"], record["recipe"]) == (None, {}, {"widths": [1, 3]})
    assert record["extended"] == [{"command": "train m --resume", "recipe": {"widths": [1, 2]}}]
    assert not (run / NETWORK).exists()


def test_a_run_that_was_given_up_is_not_finished_and_may_be_tried_again(tmp_path):
    run = start_run(options(tmp_path), Recipe())
    stop_run(run, "mode collapse")
    assert (read_stop(run), read_run(run)["finished"]) == ("mode collapse", None)
    start_run(replace(options(run), resume=True), Recipe())
    assert read_stop(run) == ""


def test_a_run_that_an_older_version_gave_up_and_marked_as_finished_is_known(tmp_path):
    run = finish(tmp_path, {"stopped": "mode collapse"})
    assert read_stop(run) == "mode collapse"
    start_run(replace(options(run), resume=True), Recipe())
    assert (read_stop(run), read_run(run)["finished"]) == ("", None)


def finish(out, metrics):
    run = start_run(options(out), Recipe())
    finish_run(run, metrics)
    return run
