"""A run's folder and its `run.json`: what was asked for, how, and what came out."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from host.replacement import replacing
from training.engine.distributed import leads
from training.engine.options import TrainOptions
from training.engine.overrides import from_record

RECORD = "run.json"
NETWORK = "network.pt"


def start_run(options: TrainOptions, recipe: Any) -> Path:
    """Make the run's folder and record options and recipe in it; a resumed run's record notes what has changed.

    Of several processes the leader alone does so.

    Raises:
        FileExistsError: the folder holds a run, and neither to resume nor to overwrite it was asked for.
    """
    record = options.out / RECORD
    if not leads():
        return options.out
    if options.resume:
        _continue_run(options, recipe)
        return options.out
    if record.exists() and options.overwrite:
        clear_run(options.out)
    if record.exists():
        raise FileExistsError(f"{options.out} holds a run; use --resume, --overwrite, or another --out")
    options.out.mkdir(parents=True, exist_ok=True)
    content = {
        "model": options.model,
        "preset": options.preset,
        "data": options.data,
        "data_root": str(options.data_root.resolve()),
        "seed": options.seed,
        "device": options.device,
        "command": options.command,
        "git_commit": current_commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": {"machine": platform.machine(), "torch": torch.__version__, "threads": torch.get_num_threads()},
        "recipe": dataclasses.asdict(recipe),
        "finished": None,
        "metrics": {},
    }
    write_json(record, content)
    return options.out


def _continue_run(options: TrainOptions, recipe: Any) -> None:
    """Forget why a run was stopped; one that is made longer is unfinished again, and not released meanwhile."""
    content = read_run(options.out)
    if read_stop(options.out):
        content |= {"stopped": "", "finished": None, "metrics": {}}
    changed = json.loads(json.dumps(dataclasses.asdict(recipe)))
    if changed != content["recipe"]:
        content.setdefault("extended", []).append({"command": options.command, "recipe": content["recipe"]})
        content |= {"recipe": changed, "finished": None, "metrics": {}}
        (options.out / NETWORK).unlink(missing_ok=True)
    write_json(options.out / RECORD, content)


def train_or_resume(recipe: Any, options: TrainOptions, train: Callable[[Any, TrainOptions], object]) -> Path:
    """Train a run, or go on with one that was begun, by its record's recipe; one that is finished stays as it is."""
    run = options.out
    if not run.exists():
        train(recipe, options)
        return run
    record = read_run(run)
    if not record["finished"]:
        train(from_record(type(recipe), record["recipe"]), dataclasses.replace(options, resume=True))
    return run


def train_all(
    recipes: Mapping[str, Any], common: TrainOptions, train: Callable[[Any, TrainOptions], object]
) -> dict[str, Path]:
    """Train recipes on the same data, each in a folder of its name below `common.out`; see `train_or_resume`."""
    return {
        name: train_or_resume(recipe, dataclasses.replace(common, preset=name, out=common.out / name), train)
        for name, recipe in recipes.items()
    }


def record_findings(run: Path, findings: Sequence[str]) -> None:
    """Record what was found wrong with the data before anything was learned from them."""
    if leads():
        write_json(run / RECORD, read_run(run) | {"data_findings": list(findings)})


def stop_run(run: Path, reason: str) -> None:
    """Record why a run was given up; it is not finished."""
    write_json(run / RECORD, read_run(run) | {"stopped": reason})


def read_stop(run: Path) -> str:
    """Why a run was given up; empty if it was not."""
    content = read_run(run)
    return content.get("stopped") or content["metrics"].get("stopped", "")  # among the metrics of older runs


def finish_run(run: Path, metrics: dict[str, Any]) -> None:
    """Record the results of a run that has come to its end."""
    content = read_run(run)
    content["metrics"] = metrics
    content["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(run / RECORD, content)


def read_run(run: Path) -> dict[str, Any]:
    """Read a run's record.

    Raises:
        FileNotFoundError: the folder is no run.
    """
    record = run / RECORD
    if not record.is_file():
        raise FileNotFoundError(f"{run} is no training run: it has no {RECORD}; `train MODEL --out {run}` makes one")
    return json.loads(record.read_text())


def clear_run(run: Path) -> None:
    """Remove a run; refuses a folder that is none.

    Raises:
        FileNotFoundError: the folder is no run.
    """
    read_run(run)
    shutil.rmtree(run)


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON in one rename."""
    with replacing(path) as file:
        file.write(json.dumps(content, indent=2).encode() + b"\n")


def read_network(run: Path) -> dict[str, Any]:
    """Read what a finished run has stored of its network, on the CPU.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    stored: dict[str, Any] = torch.load(find_result(run, NETWORK), map_location="cpu", weights_only=True)
    return stored


def read_arrays(run: Path, name: str) -> dict[str, np.ndarray]:
    """Read the arrays that a finished run left in an .npz file.

    Raises:
        FileNotFoundError: it left none because it did not finish.
    """
    with np.load(find_result(run, name)) as stored:
        return dict(stored)


def find_result(run: Path, name: str) -> Path:
    """Find a file that every finished run of a kind has.

    Raises:
        FileNotFoundError: the run did not finish, or the folder is no run.
    """
    path = run / name
    if not path.is_file():
        read_run(run)
        raise FileNotFoundError(f"{run} has no {name}: the run did not finish; continue it with --resume")
    return path


def refuse_other_data(run: Path, found: Mapping[str, Sequence[Any]], stored: Mapping[str, Any]) -> None:
    """Hold what a data set is now (its classes, its shape) against what the run has stored by the same names.

    Raises:
        ValueError: it is not the one that the run was trained on.
    """
    if any(list(values) != list(stored[name]) for name, values in found.items()):
        record = read_run(run)
        raise ValueError(f"{run} was trained on other data than {record['data']} under {record['data_root']} holds now")


def find_finished(run: str | None) -> Path | None:
    """The folder of a run if it is there and finished, else None."""
    return Path(run) if run is not None and (Path(run) / NETWORK).is_file() else None


def current_commit() -> str:
    """Name the commit of the checkout this code runs from; empty where it runs from no checkout."""
    git = shutil.which("git")
    if git is None:
        return ""
    answer = subprocess.run(
        [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip()
