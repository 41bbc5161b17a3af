"""Search the settings of `serve` with which a variant holds the highest rate within a bound.

Every trial is a server of its own and a search for its rate. What nobody chose is tried first, so that a search never
ends with less than that. Source: tree-structured Parzen estimator (Bergstra et al., 2011), as optuna has it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from host.cpu import choose_threads
from loadtests.capacity.certifying import RESOLUTION, serve_alone
from loadtests.generate.plan import Probing, aim
from loadtests.generate.processes import run_rate_search
from loadtests.measure.recording import Part
from loadtests.subject import Subject
from model_store.certificate import describe_host_class
from model_store.tuning import TunedSettings, Tuning

FIRST_RATE = 50.0
MOST_BATCHES = 2
SEED = 1


class Trial(Part):
    """Settings that were tried, and the highest rate that held the bound with them."""

    settings: TunedSettings
    rows_per_s: float


class _Suggesting(Protocol):
    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...
    def suggest_categorical(self, name: str, choices: list[int]) -> int: ...


def default_settings(max_rows: int, cores: int) -> TunedSettings:
    """What `serve` takes where nobody says otherwise."""
    return TunedSettings(
        workers=1, threads=choose_threads(1, cores), max_batch_rows=max_rows, batches_per_worker=MOST_BATCHES
    )


def search_settings(
    try_settings: Callable[[TunedSettings], float], *, max_rows: int, cores: int, trials: int
) -> list[Trial]:
    """Try settings, each at most once; return all trials in the order they were made, the default's first."""
    import optuna  # seconds to import

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED))
    study.enqueue_trial(_to_parameters(default_settings(max_rows, cores)))
    space = list_space(max_rows, cores)
    random.Random(SEED).shuffle(space)
    found: dict[TunedSettings, float] = {}
    while len(found) < min(trials, len(space)):
        trial = study.ask()
        settings = _suggest(trial, max_rows, cores)
        if settings in found:  # in a small space the sampler comes back to what is good: the next one is new
            study.tell(trial, found[settings])
            study.enqueue_trial(_to_parameters(next(other for other in space if other not in found)))
            continue
        found[settings] = try_settings(settings)
        study.tell(trial, found[settings])
    return [Trial(settings=settings, rows_per_s=rate) for settings, rate in found.items()]


def list_space(max_rows: int, cores: int) -> list[TunedSettings]:
    """List what is worth trying: more threads than cores only wait, less than a quarter of a batch wastes it."""
    return [
        TunedSettings(workers=workers, threads=threads, max_batch_rows=rows, batches_per_worker=batches)
        for workers in range(1, cores + 1)
        for threads in range(1, max(1, cores // workers) + 1)
        for rows in _row_choices(max_rows)
        for batches in range(1, MOST_BATCHES + 1)
    ]


def _suggest(trial: _Suggesting, max_rows: int, cores: int) -> TunedSettings:
    """Take the sampler's choice, brought into the space."""
    workers = trial.suggest_int("workers", 1, cores)
    return TunedSettings(
        workers=workers,
        threads=min(trial.suggest_int("threads", 1, cores), max(1, cores // workers)),
        max_batch_rows=trial.suggest_categorical("max_batch_rows", _row_choices(max_rows)),
        batches_per_worker=trial.suggest_int("batches_per_worker", 1, MOST_BATCHES),
    )


def _row_choices(max_rows: int) -> list[int]:
    return sorted({max(1, max_rows // share) for share in (1, 2, 4)})


def _to_parameters(settings: TunedSettings) -> dict[str, int]:
    return {name: int(value) for name, value in settings.model_dump().items()}


def measure_held_rate(
    store: Path, subject: Subject, settings: TunedSettings, *, bound_ms: float, search_s: float
) -> float:
    """Serve a variant with some settings and search for the highest rate that holds the bound; 0 where none does.

    Raises:
        ServerError, GeneratorError: the server or the generator broke.
    """
    with serve_alone(store, subject, settings.model_dump()) as (_, addresses, _):
        found = run_rate_search(
            Probing(
                traffic=aim(subject, addresses),
                bound_ms=bound_ms,
                first_rate=FIRST_RATE,
                warm_up_s=1.0,
                least_s=1.5,
                most_s=5.0,
                budget_s=search_s,
                resolution=RESOLUTION,
            )
        )
    return found.held or 0.0


def choose_best(subject: Subject, trials: list[Trial], bound_ms: float) -> Tuning:
    """Choose the trial with the highest rate; of equal ones the first, so that the default stays where nothing is won.

    Raises:
        ValueError: no settings held the bound.
    """
    best = max(trials, key=lambda trial: trial.rows_per_s)
    if not best.rows_per_s:
        raise ValueError(
            f"{subject.name} held {bound_ms:g} ms with none of {len(trials)} settings; give a longer --bound"
        )
    manifest = subject.manifest
    return Tuning(
        model=manifest.model,
        version=manifest.version,
        host=describe_host_class(manifest.target.device),
        settings=best.settings,
        bound_ms=bound_ms,
        rows_per_s=best.rows_per_s,
        default_rows_per_s=trials[0].rows_per_s,
        tried=len(trials),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
