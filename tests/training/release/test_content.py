import dataclasses

import pytest
import torch

from training.release.content import add_worker, lay_out, needed_modules
from training.release.user_program import describe_user_program

TARGET = {"device": "cpu", "capability": "", "torch_version": torch.__version__.split("+")[0]}


def test_only_needed_modules_are_packed():
    modules = needed_modules(["handlers.worker", "handlers.tensor"])
    assert {"handlers", "handlers.base", "handlers.tensor", "model_store.open_inference"} <= set(modules)
    assert not {"handlers.classifier", "handlers.images", "model_store.store", "model_store.manifest"} & set(modules)
    assert "handlers.images" in needed_modules(["handlers.classifier"])


def test_content_holds_program_settings_and_code(program_file, tmp_path):
    spec = describe_user_program(program_file, "net")
    lay_out(tmp_path, spec, release=1, variant="eager", programs={"main": program_file}, target=TARGET)
    add_worker(tmp_path, "tensor", TARGET | {"device": "cuda"})
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"manifest.json", "entry.py", "programs/main/net.pt2", "model_store/open_inference.binpb"} <= files
    settings = (tmp_path / "model-config.yaml").read_text().splitlines()
    assert {"minWorkers: 1", "maxWorkers: 1", "batchSize: 1", "maxBatchDelay: 1", "deviceType: gpu"} <= set(settings)


def test_extra_files_may_not_take_the_place_of_ours(program_file, tmp_path):
    spec = dataclasses.replace(
        describe_user_program(program_file, "net"), extra_files={"handlers/base.py": program_file}
    )
    with pytest.raises(ValueError, match="rename it"):
        lay_out(tmp_path, spec, release=1, variant="eager", programs={"main": program_file}, target=TARGET)


def test_unknown_handlers_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no module handlers\.nothing"):
        add_worker(tmp_path, "nothing", TARGET)
