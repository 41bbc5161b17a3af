"""Which models there are: every folder of `training` with a recipe.py."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

_TRAINING = Path(__file__).resolve().parent.parent


def list_models() -> list[str]:
    """Name all models, in alphabetical order."""
    return sorted(path.parent.name for path in _TRAINING.glob("*/recipe.py"))


def load_recipe_module(model: str) -> ModuleType:
    """Import a model's recipe module.

    Raises:
        ValueError: there is no such model.
    """
    if model not in list_models():
        raise ValueError(f"unknown model {model!r}; there are: {', '.join(list_models())}")
    return importlib.import_module(f"training.{model}.recipe")
