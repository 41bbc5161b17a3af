"""What every model's folder owes the rest of the house."""

import dataclasses
import inspect
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from handlers.archive import find_handler
from handlers.base import Handler
from model_store.interface import Parameter, Tensor
from model_store.manifest import Manifest
from model_store.tensors import DTYPES, datatype_of
from training.engine.options import TrainOptions
from training.help import list_fields
from training.models import Model, list_kinds, load_model
from training.release.content import describe

TRAINING = Path(__file__).parents[2] / "training"
HANDLERS = TRAINING.parent / "handlers"
FILES = (
    *("model.py", "recipe.py", "data.py", "network.py", "objective.py", "evaluate.py", "session.py", "servable.py"),
    *("README.md", "RESULTS.md"),
)
INFRASTRUCTURE = (
    "archive",
    "ablation",
    "attribution",
    "base",
    "device",
    "differentiable",
    "direct",
    "entry",
    "explain",
    "message",
    "program",
    "target",
    "worker",
    "images",
    "drawing",
    "ranking",
    "series",
    "text",
    "subwords",
    "signal_attribution",
    "text_attribution",
    "beam_search",
    "sampling",
    "session",
    "shared_memory",
    "cuda_graphs",
    "placement",
    "text_session",
    "forced_writing",
    "conversation",
    "control",
    "call_socket",
    "alarm",
    "onnx_providers",
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


@pytest.mark.parametrize("model", list_kinds())
class TestModel:
    def test_has_the_same_files_as_every_model(self, model):
        assert [name for name in FILES if not (TRAINING / model / name).is_file()] == []

    def test_is_one_typed_bundle(self, model):
        loaded = load_model(model)
        assert type(loaded) is Model
        assert loaded.kind == model
        assert {"demo", "full"} <= set(loaded.presets)
        for recipe in loaded.presets.values():
            assert dataclasses.is_dataclass(recipe)
            assert type(recipe).__dataclass_params__.frozen
            assert recipe.data.partition(":")[0] in {name.partition(":")[0] for name in loaded.data_sets}
        assert list(inspect.signature(loaded.train).parameters) == ["recipe", "options"]
        assert list(inspect.signature(loaded.describe_release).parameters) == ["run", "device"]

    def test_help_says_what_every_field_means(self, model):
        recipe = type(load_model(model).presets["demo"])
        meanings = [meaning for _, meaning in list_fields(recipe)]
        assert len(meanings) == len(dataclasses.fields(recipe))
        assert all(meanings)

    def test_has_a_handler_of_its_own(self, model):
        assert issubclass(find_handler(model), Handler)

    @pytest.mark.slow
    @pytest.mark.timeout(1800)
    def test_a_demo_run_describes_a_release(self, model, tmp_path):
        loaded = load_model(model)
        recipe = loaded.presets["demo"]
        options = TrainOptions(
            model=model,
            preset="demo",
            data=recipe.data,
            data_root=tmp_path / "data",
            out=tmp_path / "run",
            device="cpu",
        )
        check_spec(loaded.describe_release(loaded.train(recipe, options), "cpu"), model)


def test_a_file_name_that_several_kinds_share_has_one_meaning_in_the_readme():
    counts = Counter(path.name for kind in list_kinds() for path in (TRAINING / kind).glob("[a-z]*.py"))
    explained = set(re.findall(r"`(\w+\.py)`", (TRAINING / "README.md").read_text().partition("## To add a kind")[2]))
    assert {name for name, count in counts.items() if count > 1} <= explained


@pytest.mark.parametrize("kind", sorted({*list_kinds()} - {"classifier"}))  # which judges what others draw
def test_no_code_but_its_own_names_a_kind(kind):
    own = (TRAINING / kind, HANDLERS / f"{kind}.py", TRAINING.parent / "services" / "client")
    rooms = (TRAINING, HANDLERS, *(TRAINING.parent / name for name in ("services", "loadtests", "k8s", "model_store")))
    code = [path for room in rooms for path in room.rglob("*.py") if not any(path.is_relative_to(each) for each in own)]
    assert [path for path in code if re.search(rf"""["']{kind}["']""", path.read_text())] == []


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
    assert spec.held_out.baseline is not None, "say which answers take no learning: HeldOut(baseline=...)"
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
