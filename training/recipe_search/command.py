"""`train KIND search`: the same verb for every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from training.engine.runs import write_json
from training.models import Model
from training.recipe_search.picture import draw_search
from training.recipe_search.space import read_space
from training.recipe_search.study import Outcome, Plan, find_best, search, write_command
from training.request import Request, name_common, settle

SEARCH = "search"
PICTURE, TABLE = "search.png", "search.json"


def make_search(model: Model[Any]) -> Callable[..., None]:
    """Make the verb of a kind."""

    def search_recipes(
        over: list[str] = typer.Option(
            [], metavar="FIELD=…", help="What to search: LOW:HIGH, LOW:HIGH:log, or A|B|C; may be repeated."
        ),
        trials: int = typer.Option(20, min=1, help="Recipes to try, those of an earlier call included."),
        preset: str = typer.Option("demo", help=f"What all start from: {', '.join(model.presets)}."),
        data: str | None = typer.Option(None, help="Data set.", show_default="the preset's"),
        data_root: Path | None = typer.Option(None, help="Folder that holds data sets.", show_default="data"),
        out: Path = typer.Option(Path("runs") / model.kind / "search", help="Folder of the search and its runs."),
        device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:N."),
        seed: int = typer.Option(0, help="Seed of the search and of all its runs."),
        changes: list[str] = typer.Option([], "--set", metavar="FIELD=VALUE", help="Change a field for all trials."),
    ) -> None:
        """Search for the recipe that validates best; the same command goes on where it was stopped."""
        request = Request(
            preset=preset,
            data=data,
            data_root=data_root,
            out=out,
            device=device,
            seed=seed,
            changes=tuple(changes),
            resume=False,
            overwrite=False,
            command=name_common(("train", model.kind), preset, data, changes),
        )
        recipe, options = settle(model, request)
        space = read_space(over, recipe)
        plan = Plan(model=model, recipe=recipe, space=space, common=options, num_trials=trials)
        found = search(plan, lambda outcome: typer.echo(describe(outcome)))
        best = find_best(found.outcomes)
        draw_search(found, space, out / PICTURE)
        write_json(out / TABLE, {"trials": [_record(one) for one in found.outcomes], "importances": found.importances})
        typer.echo(f"\nbest of {len(found.outcomes)}: {describe(best)}")
        for name, share in found.importances.items():
            typer.echo(f"  {100 * share:3.0f} % of the scores' variance by {name}")
        typer.echo(f"{out / PICTURE} shows all; {best.run} is its run, with figures on test data that chose nothing.")
        values = [f"{field}={value}" for field, value in best.values.items()]
        typer.echo(f"again with another seed: {write_command(options, values)} --seed 1")

    return search_recipes


def describe(outcome: Outcome) -> str:
    """One trial in a line."""
    score = f"{outcome.score:.5g}" if outcome.score is not None else outcome.state
    values = " ".join(f"{field}={value}" for field, value in outcome.values.items())
    return f"{outcome.run.name}  {score:>10}  {values}" + (f"  {outcome.why}" if outcome.why else "")


def _record(outcome: Outcome) -> dict[str, Any]:
    return {
        "run": outcome.run.name,
        "values": outcome.values,
        "state": outcome.state,
        "score": outcome.score,
        "why": outcome.why,
    }
