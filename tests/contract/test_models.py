"""What every model's folder owes the rest of the house."""

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from handlers.archive import find_handler
from handlers.base import Handler
from model_store.manifest import Manifest, Parameter, Tensor
from model_store.tensors import DTYPES, datatype_of
from training.engine.models import list_models, load_recipe_module
from training.engine.options import TrainOptions
from training.release.content import describe

TRAINING = Path(__file__).parents[2] / "training"
HANDLERS = TRAINING.parent / "handlers"
FILES = ("data.py", "network.py", "objective.py", "evaluate.py", "recipe.py", "README.md")
INFRASTRUCTURE = (
    "archive",
    "base",
    "direct",
    "entry",
    "message",
    "program",
    "target",
    "worker",
    "images",
    "beam_search",
)

MEASURED = {
    "created": "2026-01-01T00:00:00+00:00",
    "gate": {"rule": "", "passed": True, "why": ""},
    "speed": {"rows": 1, "rows_per_s": 1, "single_row_ms": 1, "threads": 1, "host": ""},
    "quality": {"metric": "", "value": 1, "interval": [1, 1], "n": 1, "dataset": "", "dataset_digest": ""},
    "size_bytes": 0,
    "files": {},
    "source": {"git_commit": "", "command": ""},
}


@pytest.mark.parametrize("model", list_models())
class TestModel:
    def test_has_the_same_files_as_every_model(self, model):
        assert [name for name in FILES if not (TRAINING / model / name).is_file()] == []

    def test_recipe_offers_presets_training_and_release(self, model):
        recipes = load_recipe_module(model)
        assert {"demo", "full"} <= set(recipes.PRESETS)
        for recipe in recipes.PRESETS.values():
            assert dataclasses.is_dataclass(recipe)
            assert type(recipe).__dataclass_params__.frozen
            assert isinstance(recipe.data, str)
        assert list(inspect.signature(recipes.train).parameters) == ["recipe", "options"]
        assert list(inspect.signature(recipes.describe_release).parameters) == ["run", "device"]

    def test_has_a_handler_of_its_own(self, model):
        assert issubclass(find_handler(model), Handler)

    @pytest.mark.slow
    @pytest.mark.timeout(1800)
    def test_a_demo_run_describes_a_release(self, model, tmp_path):
        recipes = load_recipe_module(model)
        recipe = recipes.PRESETS["demo"]
        options = TrainOptions(
            model=model,
            preset="demo",
            data=recipe.data,
            data_root=tmp_path / "data",
            out=tmp_path / "run",
            device="cpu",
        )
        check_spec(recipes.describe_release(recipes.train(recipe, options), "cpu"), model)


@pytest.mark.parametrize(
    "name", [path.stem for path in sorted(HANDLERS.glob("[a-z]*.py")) if path.stem not in INFRASTRUCTURE]
)
def test_every_handler_module_defines_one_handler(name):
    assert issubclass(find_handler(name), Handler)


def check_spec(spec, model):
    assert spec.kind == spec.model == model
    target = {"device": "cpu", "capability": "", "torch_version": torch.__version__.split("+")[0]}
    programs = {role: f"programs/{role}/{role}.pt2" for role in spec.programs}
    known = describe(spec, release=1, variant="eager", programs=programs, target=target)
    manifest = Manifest.model_validate(known | MEASURED)
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
    assert [Tensor.model_validate(dataclasses.asdict(tensor)) for tensor in spec.inputs] == list(manifest.inputs)
    assert [Parameter.model_validate(dataclasses.asdict(parameter)) for parameter in spec.parameters] == list(
        manifest.parameters
    )
    find_handler(spec.kind)
    for rows in (spec.held_out.inputs, spec.examples):
        check_rows(rows, manifest)
    assert spec.margin >= 0
    for program in spec.programs.values():
        assert all(len(tensor) >= 2 for tensor in program.example_inputs)


def check_rows(rows, manifest):
    assert len({len(array) for array in rows.values()}) <= 1
    for name, array in rows.items():
        tensor = manifest.input(name)
        assert tensor is not None, f"{name} is no input"
        assert datatype_of(array) == tensor.datatype
        assert array.dtype == DTYPES[tensor.datatype]
        assert all(want in (-1, size) for want, size in zip(tensor.shape, array.shape, strict=True))
        if array.dtype.kind == "f":
            assert np.isfinite(array).all()
