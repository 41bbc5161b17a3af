"""Runs and releases in MLflow."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_store.signing import Keyring
from model_store.store import Store
from tests.builders import publish_release
from tests.training.engine.test_loop import Duel
from training.engine.interruption import Interrupted
from training.engine.loop import Plan, fit
from training.engine.options import TrainOptions
from training.engine.runs import finish_run, start_run
from training.engine.tracking import connect, find_tracked, read_uri, tracked_by
from training.release.registration import register_release

# MLflow's own, whose database asks sqlalchemy in ways that it will drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """One database: to make its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(uri):
    return connect(uri)


@dataclass(frozen=True)
class Recipe:
    rate: float = 0.5


def train(run: Path, num_steps: int, *, stop_at: int | None = None, resume: bool = False) -> None:
    options = TrainOptions(
        model="duel", preset="demo", data="none", data_root=run, out=run, seed=3, resume=resume, command="train duel"
    )
    start_run(options, Recipe())
    plan = Plan(num_steps=num_steps, validate_every=2, log_every=1, monitor="score")
    fit(Duel(stop_at=stop_at), plan, run, resume=resume)


@pytest.fixture(scope="module")
def tracked_run(uri, tmp_path_factory):
    """Stopped after three of six steps, one of which no validation had followed, then resumed and finished."""
    run = tmp_path_factory.mktemp("tracked") / "run"
    with pytest.raises(Interrupted), tracked_by(f"mlflow:{uri}"):
        train(run, 6, stop_at=2)
    stopped = find_tracked(run)
    with tracked_by(f"mlflow:{uri}"):
        train(run, 6, resume=True)
        finish_run(run, {"accuracy": 0.75, "note": "fine"})
    return run, stopped


def test_figures_of_a_stopped_and_resumed_run_come_once_by_their_steps(tracked_run, client):
    run, stopped = tracked_run
    tracked = find_tracked(run)
    assert tracked.id == stopped.id
    assert (stopped.last_step, tracked.last_step) == (2, 6)
    for name, steps in {"train/first": [1, 2, 3, 4, 5, 6], "validation/score": [2, 4, 6]}.items():
        history = client.get_metric_history(tracked.id, name)
        logged = [json.loads(line) for line in (run / "curves.jsonl").read_text().splitlines()]
        assert sorted((metric.step, metric.value) for metric in history) == [
            (line["step"], line[name]) for line in logged if name in line
        ]
        assert [metric.step for metric in sorted(history, key=lambda metric: metric.step)] == steps


def test_parameters_results_and_files_of_a_finished_run_are_there(tracked_run, client):
    run, _ = tracked_run
    tracked = find_tracked(run)
    entry = client.get_run(tracked.id)
    assert entry.info.status == "FINISHED"
    assert entry.data.params["seed"] == "3"
    assert entry.data.params["rate"] == "0.5"
    assert entry.data.metrics["accuracy"] == 0.75
    assert "note" not in entry.data.metrics
    assert entry.data.tags["command"] == "train duel"
    names = {file.path for file in client.list_artifacts(tracked.id)}
    assert {"run.json", "curves.jsonl"} <= names
    assert client.get_experiment_by_name("duel").experiment_id == entry.info.experiment_id


def test_a_run_that_was_stopped_is_said_to_be_stopped(uri, client, tmp_path):
    with pytest.raises(Interrupted), tracked_by(f"mlflow:{uri}"):
        train(tmp_path / "run", 6, stop_at=2)
    assert client.get_run(find_tracked(tmp_path / "run").id).info.status == "KILLED"


def test_a_run_that_fails_is_said_to_have_failed(uri, client, tmp_path):
    def train_badly():
        train(tmp_path / "run", 2)
        raise FloatingPointError("loss is nan")

    with pytest.raises(FloatingPointError), tracked_by(f"mlflow:{uri}"):
        train_badly()
    assert client.get_run(find_tracked(tmp_path / "run").id).info.status == "FAILED"


def test_a_finished_run_that_may_not_be_overwritten_stays_finished(tracked_run, uri, client):
    run, _ = tracked_run
    with pytest.raises(FileExistsError), tracked_by(f"mlflow:{uri}"):
        train(run, 6)
    assert client.get_run(find_tracked(run).id).info.status == "FINISHED"


def test_a_release_of_a_tracked_run_is_registered_by_the_digest_of_what_is_signed(tracked_run, client, tmp_path):
    run, _ = tracked_run
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    release = publish_release(store, "net")
    assert "registered in MLflow as net version 1" in register_release(run, release)
    assert "registered in MLflow as net version 2" in register_release(run, release)
    version = client.get_model_version("net", "1")
    assert version.run_id == find_tracked(run).id
    assert version.source == release.folder.resolve().as_uri()
    assert version.tags["digest"] == release.digest
    assert version.tags["signed_by"] == release.signed_by


def test_a_run_that_was_not_tracked_registers_nothing(tmp_path):
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    assert register_release(tmp_path, publish_release(store, "net")) == ""
    assert register_release(None, publish_release(store, "net")) == ""


def test_without_a_tracker_nothing_is_written(tmp_path):
    with tracked_by(None):
        train(tmp_path / "run", 2)
    assert find_tracked(tmp_path / "run") is None


def test_another_tracker_is_refused_by_name():
    with pytest.raises(ValueError, match=r"--tracker takes mlflow or mlflow:URI .*; got 'wandb'"):
        read_uri("wandb")


def test_a_missing_mlflow_says_how_to_install_it(monkeypatch, uri):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"mlflow is not installed; `uv sync --group track`"):
        connect(uri)


def test_a_place_that_mlflow_cannot_use_is_named():
    with pytest.raises(ConnectionError, match="MLflow at nothing://here"):
        connect("nothing://here")
