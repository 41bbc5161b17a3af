"""What of a run goes along with its release."""

import json

import pytest

from training.engine.curves import CurveFile
from training.engine.runs import write_json
from training.release.evidence import MAX_FILE_BYTES, MAX_POINTS, gather_evidence


@pytest.fixture
def run(tmp_path):
    record = {"command": "train net", "preset": "demo", "data": "d", "data_root": "/home/me/secret", "seed": 3}
    write_json(tmp_path / "run.json", record)
    curves = CurveFile(tmp_path)
    for step in range(10, 10_001, 10):
        curves.add({"train/loss": 1 / step}, step)
    curves.add({"validation/score": 2 / 3}, 10_000)
    curves.close()
    return tmp_path


def test_says_how_the_run_came_about_and_not_where(run):
    training = json.loads(gather_evidence(run)["training.json"])
    assert (training["command"], training["seed"], training["finished"]) == ("train net", 3, None)
    assert "data_root" not in training


def test_long_curves_are_thinned_to_means_of_neighbours(run):
    files = gather_evidence(run)
    curves = json.loads(files["training.json"])["curves"]
    assert curves["validation/score"] == {"steps": [10_000], "values": [0.66667]}
    steps, values = curves["train/loss"]["steps"], curves["train/loss"]["values"]
    assert len(steps) == len(values) == MAX_POINTS
    assert (steps[0], values[0]) == (50, 0.031433)  # of steps 10 to 90
    assert values == sorted(values, reverse=True)
    assert len(files["training.json"]) < 4000


def test_evaluation_and_pictures_come_along_unless_they_are_large(run):
    (run / "evaluation.json").write_text("{}")
    (run / "b.png").write_bytes(b"picture")
    (run / "a.png").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (run / "network.pt").write_bytes(b"weights")
    files = gather_evidence(run)
    assert list(files) == ["training.json", "evaluation.json", "b.png"]
    assert files["b.png"] == b"picture"
