"""Runs in MLflow, beside the files that every run leaves: parameters, curves, results, pictures.

The run's folder stays the truth. A tracker copies from it at each validation, after the checkpoint, so that a run that
is stopped and resumed tells MLflow nothing twice. Nothing imports MLflow before somebody asks for it.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.engine.curves import read_curves
from training.engine.distributed import leads
from training.engine.interruption import Interrupted
from training.engine.observation import observed_by
from training.engine.runs import read_run, write_json

DATABASE = Path("runs/mlflow.db")
TRACKED = "mlflow.json"
_TAGS = ("model", "preset", "data", "command", "git_commit")
_ARTEFACTS = ("*.json", "*.jsonl", "*.png", "*.md")
_METRICS_AT_ONCE, _PARAMETERS_AT_ONCE = 1000, 100  # MLflow takes no more in one request


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """Where a run is in MLflow, and the last step whose figures are there; lies in the run's folder."""

    uri: str
    id: str
    last_step: int = 0


@contextmanager
def tracked_by(tracker: str | None) -> Iterator[None]:
    """Track the run that is trained inside, if a tracker is named: `mlflow`, or `mlflow:URI` for another place.

    Raises:
        ValueError: there is no such tracker, or MLflow is not installed.
        ConnectionError: MLflow does not do what it is asked to; the run's checkpoint is complete.
    """
    if tracker is None or not leads():
        yield
        return
    mlflow = MlflowTracker(read_uri(tracker))
    status = "FAILED"
    try:
        with observed_by(mlflow.observe):
            yield
        status = "FINISHED"
    except Interrupted:
        status = "KILLED"
        raise
    finally:
        mlflow.end(status)


class MlflowTracker:
    """Keeps a run up to date at MLflow's `uri`."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client = connect(uri)
        self._run: Path | None = None  # None until there is something to tell

    def observe(self, run: Path, validation: int, score: float) -> None:
        """Tell MLflow what a run has logged since the last time, and of the run itself at the first."""
        from mlflow.entities import Metric

        tracked = find_tracked(run)
        if tracked is None or tracked.uri != self.uri:
            tracked = self._begin(run)
        elif self._run is None:
            with _naming(self.uri):
                self.client.update_run(tracked.id, "RUNNING")
        self._run = run
        now_ms = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now_ms, step)
            for name, points in read_curves(run).items()
            for step, value in points
            if step > tracked.last_step
        ]
        with _naming(self.uri):
            for first in range(0, len(metrics), _METRICS_AT_ONCE):
                self.client.log_batch(tracked.id, metrics=metrics[first : first + _METRICS_AT_ONCE])
        last_step = max((metric.step for metric in metrics), default=tracked.last_step)
        write_json(run / TRACKED, vars(dataclasses.replace(tracked, last_step=last_step)))

    def end(self, status: str) -> None:
        """Record how the run ended (FINISHED, KILLED, FAILED); of a finished one results and pictures too."""
        run = self._run
        tracked = find_tracked(run) if run else None
        if run is None or tracked is None:
            return
        with _naming(self.uri):
            if status == "FINISHED":
                for name, value in read_run(run)["metrics"].items():
                    if isinstance(value, int | float):
                        self.client.log_metric(tracked.id, name, value)
                for path in sorted({path for pattern in _ARTEFACTS for path in run.glob(pattern)}):
                    self.client.log_artifact(tracked.id, str(path))
            self.client.set_terminated(tracked.id, status)

    def _begin(self, run: Path) -> TrackedRun:
        from mlflow.entities import Param

        record = read_run(run)
        fields = record["recipe"] | {"seed": record["seed"]}
        parameters = [Param(name, str(value)) for name, value in fields.items()]
        with _naming(self.uri):
            experiment = _find_experiment(self.client, self.uri, record["model"])
            tags = {name: str(record[name]) for name in _TAGS}
            entry = self.client.create_run(experiment, tags=tags, run_name=run.name)
            for first in range(0, len(parameters), _PARAMETERS_AT_ONCE):
                self.client.log_batch(entry.info.run_id, params=parameters[first : first + _PARAMETERS_AT_ONCE])
        return TrackedRun(uri=self.uri, id=entry.info.run_id)


def find_tracked(run: Path) -> TrackedRun | None:
    """Where a run is in MLflow, if it is tracked there."""
    path = run / TRACKED
    return TrackedRun(**json.loads(path.read_text())) if path.is_file() else None


def read_uri(tracker: str) -> str:
    """Read the name of a tracker into MLflow's URI; a database below `runs/` where none is given.

    Raises:
        ValueError: there is no such tracker.
    """
    name, _, uri = tracker.partition(":")
    if name != "mlflow":
        raise ValueError(f"--tracker takes mlflow or mlflow:URI (a database or a server); got {tracker!r}")
    return uri or f"sqlite:///{DATABASE.resolve()}"


def connect(uri: str) -> Any:
    """Open MLflow's client, whose models are registered at the same place as its runs.

    Raises:
        ValueError: MLflow is not installed.
        ConnectionError: there is nothing at `uri` that it can use.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise ValueError("mlflow is not installed; `uv sync --group track` or `pip install mlflow-skinny` does it")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # else it tells its makers what is called
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # writes a line for each of a new database's tables
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    with _naming(uri):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def register_version(uri: str, name: str, source: str, *, run_id: str, tags: Mapping[str, str]) -> str:
    """Add a version to a model of MLflow's registry, the model too if it is new; return the version's number."""
    client = connect(uri)
    with _naming(uri):
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        return str(client.create_model_version(name, source, run_id=run_id, tags=dict(tags)).version)


def _find_experiment(client: Any, uri: str, name: str) -> str:
    """A kind's experiment; artefacts of a database of one's own lie in a folder beside it."""
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    folder = None
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).with_suffix("").joinpath(name).resolve().as_uri()
    return str(client.create_experiment(name, artifact_location=folder))


@contextmanager
def _naming(uri: str) -> Iterator[None]:
    """Turn MLflow's errors into one that says where it was asked."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise ConnectionError(f"MLflow at {uri}: {error}; without --tracker the run does without it") from error
