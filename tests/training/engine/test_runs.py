from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from training.engine.options import TrainOptions
from training.engine.runs import clear_run, finish_run, read_run, start_run


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
