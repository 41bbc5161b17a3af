"""What a person types after `make` is a shell's to understand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from training.models import list_kinds

ROOT = Path(__file__).parents[1]
PHONY = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))


@pytest.mark.parametrize("target", PHONY.split()[1:])
def test_every_recipe_is_whole_commands(target):
    shown = subprocess.run(
        ["make", "--no-print-directory", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    read = subprocess.run(["sh", "-n"], input=shown, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, ""), shown


def test_all_models_are_those_that_have_a_folder():
    shown = subprocess.run(
        ["make", "--no-print-directory", "-n", "train", "MODELS=all"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"printf '%s\\n' {' '.join(list_kinds())} |" in shown
