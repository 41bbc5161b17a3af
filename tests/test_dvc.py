"""The stages in dvc.yaml: commands that exist, presets and kinds that exist, files that somebody makes."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from loadtests.presets import PRESETS as LOADTEST_PRESETS
from tests.test_arrows import imported_modules
from training.engine.runs import NETWORK, RECORD
from training.labels.figures import EVALUATION
from training.models import list_kinds, load_model

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
VARS = {name: value for entry in PIPELINE["vars"] for name, value in entry.items()}
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
STAGES = [(stage, kind) for stage in PIPELINE["stages"] for kind in VARS["kinds"]]


def fill(text: str, kind: str) -> str:
    values = VARS | {"item": kind}
    return re.sub(r"\$\{(\w+)\}", lambda found: str(values[found[1]]), text)


def list_files(stage: str, field: str, kind: str) -> list[str]:
    entries = PIPELINE["stages"][stage]["do"].get(field, [])
    return [fill(entry if isinstance(entry, str) else next(iter(entry)), kind) for entry in entries]


def parse(command: str) -> dict[str, object]:
    """Read a command as its program would, without running it; options by name, of all its sub-commands together."""
    program, *arguments = shlex.split(command)
    module, _ = SCRIPTS[program].split(":")
    read = typer.main.get_command(importlib.import_module(module).app)
    context, options = None, {}
    while True:
        context = read.make_context(program, list(arguments), parent=context)
        options |= context.params
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if not hasattr(read, "get_command") or not rest:
            assert not rest
            return options
        program, *arguments = rest
        read = read.get_command(context, program)
        assert read is not None, f"{command}: there is no {program}"


@pytest.mark.parametrize(("stage", "kind"), STAGES)
def test_commands_are_understood_and_write_what_the_stage_says(stage, kind):
    options = parse(fill(PIPELINE["stages"][stage]["do"]["cmd"], kind))
    made = list_files(stage, "outs", kind) + list_files(stage, "metrics", kind)
    if stage == "train":
        assert options["preset"] in load_model(kind).presets
        assert options["seed"] == VARS["seed"]
        assert made == [str(options["out"] / name) for name in (NETWORK, RECORD, EVALUATION)]
    elif stage == "release":
        assert [str(options["run"] / name) for name in (NETWORK, RECORD)] == list_files(stage, "deps", kind)[:2]
        assert made == [str(options["store"] / options["name"])]
    else:
        assert options["preset"] in LOADTEST_PRESETS
        assert options["serve"]
        assert options["models"] == [kind]
        assert made == [str(options["out"] / "index.html")]


def test_every_kind_has_its_stages():
    assert VARS["kinds"] == list_kinds()


@pytest.mark.parametrize("kind", VARS["kinds"])
def test_each_stage_depends_on_code_that_is_there_or_on_what_a_stage_before_it_makes(kind):
    made: set[str] = set()
    for stage in PIPELINE["stages"]:
        for path in list_files(stage, "deps", kind):
            assert path in made or (ROOT / path).is_dir(), f"{stage}: {path} is neither there nor made before"
        made |= {*list_files(stage, "outs", kind), *list_files(stage, "metrics", kind)}


@pytest.mark.parametrize("kind", VARS["kinds"])
def test_a_training_depends_on_every_folder_that_its_kind_imports(kind):
    modules = {module for path in (ROOT / "training" / kind).glob("*.py") for module in imported_modules(path)}
    parts = [module.split(".") for module in modules if module.startswith("training.")]
    folders = {f"training/{part[1]}" for part in parts if (ROOT / "training" / part[1]).is_dir()}
    assert folders - {"training/release"} <= set(list_files("train", "deps", kind))


def test_what_is_made_is_ignored_by_git():
    made = [path for stage, kind in STAGES for field in ("outs", "metrics") for path in list_files(stage, field, kind)]
    shown = subprocess.run(["git", "check-ignore", *made], cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.stdout.split() == made


def test_an_option_that_is_not_there_is_noticed():
    with pytest.raises(Exception, match="No such option"):
        parse("train classifier --presets demo")
