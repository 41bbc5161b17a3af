"""What the documents tell people to type must exist."""

import importlib
import re
import shlex
import subprocess
from pathlib import Path
from pkgutil import iter_modules

import pytest
import typer

import k8s.cli
import loadtests.cli
import model_store.cli
import services.cli
import training.cli
import training.release.cli
from services.client import commands, explain_cli, generic

ROOT = Path(__file__).parents[1]
APPS = {
    "train": training.cli.app,
    "release": training.release.cli.app,
    "store": model_store.cli.app,
    "serve": services.cli.app,
    "explain": explain_cli.app,
    "loadtest": loadtests.cli.app,
    "k8s": k8s.cli.app,
}
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.parts))


def typed_lines() -> list[str]:
    """Commands of the README: code in its tables and text, and the lines of its shell blocks."""
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", text)
    return sorted({line.split(" #")[0].strip() for line in lines if re.match(r"(\$ )?(\w+) [^|]", line)})


def known_options(line: str) -> set[str]:
    """Follow a line's words from the verb to the command that takes its options; `infer`'s are those of all kinds."""
    verb, *words = shlex.split(line)
    if verb == "infer":
        names = [f"{commands.__name__}.{kind.name}" for kind in iter_modules(commands.__path__)]
        app = typer.Typer()
        for module in (generic, *map(importlib.import_module, names)):
            app.command(module.__name__)(module.run)
        found = list(typer.main.get_group(app).commands.values())
    else:
        command = typer.main.get_command(APPS[verb])
        for word in words:
            following = command.get_command(None, word) if hasattr(command, "get_command") else None
            if following is None:
                break
            command = following
        found = [command]
    return {option for command in found for parameter in command.params for option in parameter.opts} | {"--help"}


LINES = [line for line in typed_lines() if line.split()[0] in (*APPS, "infer") and "<" not in line]


def test_the_readme_shows_every_verb():
    assert {line.split()[0] for line in LINES} == {*APPS, "infer"}


@pytest.mark.parametrize("line", LINES)
def test_options_in_the_readme_exist(line):
    assert {word for word in shlex.split(line) if word.startswith("--")} <= known_options(line)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_needs_uv_on_the_path(path):
    assert not re.search(r"\buv run\b", path.read_text())


def test_no_text_of_a_command_needs_uv_on_the_path():
    rooms = ("training", "handlers", "model_store", "services", "loadtests", "k8s", "host")
    files = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    assert [str(path) for path in files if re.search(r"\buv run\b", path.read_text())] == []


def test_make_says_how_to_reach_the_commands_and_nothing_else():
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "setup"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"echo \"[^\"]*source \.venv/bin/activate[^\"]*\"", last)
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "check"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1] == "true"


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_files_on_the_gateways_map_exist():
    folder = ROOT / "services" / "gateway"
    named = re.findall(r"`([a-z_]+\.py)`", (folder / "README.md").read_text())
    assert len(named) > 50
    assert [name for name in named if not (folder / name).exists()] == []
