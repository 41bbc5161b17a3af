"""The trials of a search: each a run of its own, given up early where it falls behind. A search may be resumed.

Source: tree-structured Parzen estimator (Bergstra et al. 2011) and median stopping (Golovin et al. 2017), as optuna
has them.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.engine.interruption import Interrupted
from training.engine.observation import observed_by
from training.engine.options import TrainOptions
from training.engine.overrides import override
from training.engine.runs import stop_run, train_or_resume
from training.models import Model
from training.recipe_search.space import Dimension, locate

if TYPE_CHECKING:
    import optuna

_JOURNAL = "study.log"
_UNPRUNED_TRIALS = 4  # whose median says what is behind


class _Behind(Exception):  # noqa: N818 - nothing failed
    """A trial's validations are worse than the median of those before it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What to search: `recipe` with the fields of `space` changed, in runs like `common`."""

    model: Model[Any]
    recipe: Any
    space: Sequence[Dimension]
    common: TrainOptions
    num_trials: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A trial: `score` of its last validation, `state` complete, pruned or failed, and why it failed."""

    run: Path
    values: dict[str, str]
    state: str
    score: float | None
    validations: dict[int, float]
    why: str


@dataclasses.dataclass(frozen=True)
class Found:
    """All trials in the order they were begun, and which share of the scores' variance each field explains.

    The greatest share is first; there are none where it cannot be told.
    """

    outcomes: list[Outcome]
    importances: dict[str, float]


def search(plan: Plan, tell: Callable[[Outcome], None]) -> Found:
    """Try recipes until there are as many trials as asked for, those of an earlier call included.

    Raises:
        ValueError: the folder holds the study of another search.
        Interrupted: Ctrl-C or SIGTERM; the same search goes on with the trial that was stopped.
    """
    study = _open(plan)
    _take_up_what_was_stopped(study)
    while len(_list_counted(study)) < plan.num_trials:
        trial = study.ask()
        _try(plan, study, trial)
        tell(_describe(plan, study.trials[trial.number]))
    return Found([_describe(plan, trial) for trial in _list_counted(study)], _measure_importances(study))


def _open(plan: Plan) -> optuna.Study:
    import optuna  # Imported late: it takes seconds, and training needs it not.
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = plan.common.out
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            study_name="search",
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(folder / _JOURNAL))),
            sampler=optuna.samplers.TPESampler(seed=plan.common.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS),
            direction="maximize",
            load_if_exists=True,
        )
    asked = {
        "recipe": dataclasses.asdict(plan.recipe),
        "space": [dataclasses.asdict(dimension) for dimension in plan.space],
        "data": plan.common.data,
        "seed": plan.common.seed,
    }
    asked = json.loads(json.dumps(asked))  # as it comes back from the study
    before = study.user_attrs.get("asked")
    if before is None:
        study.set_user_attr("asked", asked)
        if (place := locate(plan.space, plan.recipe)) is not None:
            study.enqueue_trial(place)  # what the others have to beat
    elif before != asked:
        differing = ", ".join(name for name in asked if asked[name] != before[name])
        raise ValueError(f"{folder} holds another search (it differs in {differing}); say another --out")
    return study


def _take_up_what_was_stopped(study: optuna.Study) -> None:
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs={"run": trial.user_attrs.get("run", trial.number)})


def _list_counted(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in study.trials if trial.state.is_finished() and not _was_stopped(trial)]


def _was_stopped(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether another trial has taken up the run; one that failed says why."""
    return trial.state.name == "FAIL" and "why" not in trial.user_attrs


def _try(plan: Plan, study: optuna.Study, trial: optuna.Trial) -> None:
    from optuna.trial import TrialState

    changes = [f"{dimension.field}={dimension.suggest(trial)}" for dimension in plan.space]
    run = _folder(plan, trial.user_attrs.get("run", trial.number))
    score = None

    def watch(folder: Path, validation: int, value: float) -> None:
        nonlocal score
        if folder != run:  # what a kind trains beside, as a judge
            return
        score = value
        trial.report(value, validation)
        if trial.should_prune():
            raise _Behind

    try:
        recipe = override(plan.recipe, changes)
        options = dataclasses.replace(plan.common, out=run, command=write_command(plan.common, changes))
        with observed_by(watch):
            train_or_resume(recipe, options, plan.model.train)
        if score is None:
            raise ValueError(f"{run} was finished before and tells nothing; remove it")
        study.tell(trial, score)
    except _Behind:
        stop_run(run, "behind the median of the trials before")
        study.tell(trial, state=TrialState.PRUNED)
    except (ValueError, FloatingPointError) as error:
        trial.set_user_attr("why", str(error))
        study.tell(trial, state=TrialState.FAIL)
    except Interrupted as stop:
        raise Interrupted(f"{stop} (trial {trial.number} of {plan.num_trials})") from None


def write_command(common: TrainOptions, changes: Sequence[str]) -> str:
    """The command of a training with further changes, field=value, than those that all trials have."""
    return " ".join([common.command, *(f"--set {shlex.quote(change)}" for change in changes)])


def _folder(plan: Plan, number: int) -> Path:
    return plan.common.out / f"trial-{number:03d}"


def _describe(plan: Plan, trial: optuna.trial.FrozenTrial) -> Outcome:
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name]
    return Outcome(
        run=_folder(plan, trial.user_attrs.get("run", trial.number)),
        values={
            name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in trial.params.items()
        },
        state=state,
        score=trial.value if state == "complete" else None,
        validations=dict(sorted(trial.intermediate_values.items())),
        why=trial.user_attrs.get("why", ""),
    )


def find_best(outcomes: Sequence[Outcome]) -> Outcome:
    """The complete trial of the highest score.

    Raises:
        ValueError: all trials failed.
    """
    complete = [outcome for outcome in outcomes if outcome.score is not None]
    if not complete:
        raise ValueError(f"no trial came to its end; the last says: {outcomes[-1].why or outcomes[-1].state}")
    return max(complete, key=lambda outcome: outcome.score or 0.0)


def _measure_importances(study: optuna.Study) -> dict[str, float]:
    """Source: functional analysis of variance by a forest of regression trees (Hutter et al. 2014)."""
    import optuna

    complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < _UNPRUNED_TRIALS or len(complete[0].params) < 2 or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}
