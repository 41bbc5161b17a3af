import json
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from services.catalogue import ServedVariant
from services.torchserve.run_folder import RunFolder, unpack_archive, write_configuration
from services.torchserve.settings import TorchServeSettings
from tests.services.gateway.conftest import make_manifest


@pytest.fixture
def folder():
    folder = RunFolder.create()
    yield folder
    folder.remove()


@pytest.fixture
def make_variant(tmp_path):
    def make(device="cpu"):
        manifest = make_manifest(target={"device": device, "capability": "", "torch_version": "2.13.0"})
        archive = tmp_path / "a.mar"
        with zipfile.ZipFile(archive, "w") as file:
            packed = {"runtime": "python3", "model": {"modelName": "double", "configFile": "model-config.yaml"}}
            file.writestr("MAR-INF/MANIFEST.json", json.dumps(packed))
            file.writestr("model-config.yaml", "minWorkers: 9\nmaxWorkers: 9\nhandler: {limit: 3}\n")
        return ServedVariant(manifest=manifest, archive=archive, examples=Path("e"), is_default=True)

    return make


def test_nobody_else_may_read_the_folder(folder):
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_what_is_shared_lies_in_memory_unless_another_container_has_to_see_it(folder):
    assert folder.shared == Path("/dev/shm") / folder.path.name
    assert stat.S_IMODE(folder.shared.stat().st_mode) == 0o700
    apart = RunFolder(Path("/run/engine/millrace-12345678"))
    assert apart.shared.parent == apart.path
    folder.remove()
    assert not folder.shared.exists()
    assert not folder.path.exists()


def test_this_machines_settings_replace_the_archives_own(folder, make_variant):
    settings = TorchServeSettings(workers=2, response_timeout_s=30)
    name = unpack_archive(make_variant(), settings, folder)
    manifest = json.loads((folder.models / name / "MAR-INF/MANIFEST.json").read_text())
    assert (manifest["runtime"], manifest["model"]["modelName"]) == ("python", "double")
    configuration = yaml.safe_load((folder.models / name / manifest["model"]["configFile"]).read_text())
    assert configuration["handler"] == {"limit": 3}
    wanted = {"minWorkers": 2, "maxWorkers": 2, "batchSize": 1, "maxBatchDelay": 1, "responseTimeout": 30}
    assert wanted.items() <= configuration.items()
    assert configuration["deviceType"] == "cpu"


def test_workers_are_pinned_to_the_gpus_that_were_chosen(folder, make_variant):
    name = unpack_archive(make_variant("cuda"), TorchServeSettings(device_ids=("1", "3")), folder)
    configuration = yaml.safe_load((folder.models / name / "served-config.yaml").read_text())
    assert (configuration["deviceType"], configuration["deviceIds"]) == ("gpu", [1, 3])


def test_workers_choose_themselves_among_gpus_that_have_names(folder, make_variant):
    """As slices of one GPU have, of which TorchServe knows nothing."""
    names = ("MIG-0a1b", "MIG-2c3d")
    settings = TorchServeSettings(device_ids=names, cuda_graphs=True)
    name = unpack_archive(make_variant("cuda"), settings, folder)
    configuration = yaml.safe_load((folder.models / name / "served-config.yaml").read_text())
    assert {"deviceType": "cpu", "gpus": list(names), "cudaGraphs": True}.items() <= configuration.items()
    on_cpu = yaml.safe_load(
        (folder.models / unpack_archive(make_variant("cpu"), settings, folder) / "served-config.yaml").read_text()
    )
    assert not {"gpus", "cudaGraphs"} & {*on_cpu}


@pytest.mark.parametrize(("several_slots", "slots"), [(True, 3), (False, 1)])
def test_workers_have_several_slots_where_their_handler_can(folder, make_variant, several_slots, slots):
    variant = make_variant("cpu")
    manifest = variant.manifest.model_copy(update={"several_slots": several_slots})
    name = unpack_archive(replace(variant, manifest=manifest), TorchServeSettings(slots_per_worker=3), folder)
    assert yaml.safe_load((folder.models / name / "served-config.yaml").read_text())["slots"] == slots


def test_graphs_and_several_slots_exclude_each_other():
    with pytest.raises(ValidationError, match="slots_per_worker 2 and cuda_graphs exclude each other"):
        TorchServeSettings(cuda_graphs=True, slots_per_worker=2)


@pytest.mark.parametrize("names", [("0", "MIG-0a1b"), ("cuda:0",)])
def test_gpus_are_numbers_or_names(names):
    with pytest.raises(ValueError, match="numbers such as 0,1, or names such as GPU-… and MIG-…, not both; got"):
        TorchServeSettings(device_ids=names)


def test_nothing_listens_outside_the_folder_but_loopback(folder):
    write_configuration(folder, ["a", "b"], TorchServeSettings(), (17070, 17071))
    lines = folder.configuration.read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    assert properties["inference_address"] == f"unix:{folder.path}/inference.sock"
    assert properties["management_address"] == f"unix:{folder.path}/management.sock"
    assert properties["grpc_inference_address"] == properties["grpc_management_address"] == "127.0.0.1"
    assert properties["disable_token_authorization"] == "false"
    assert properties["load_models"] == "a,b"
    assert properties["allowed_urls"] == f"file://{folder.models}/.*"


def test_refuses_a_folder_too_deep_for_sockets():
    with pytest.raises(ValueError, match="set TMPDIR to a shorter path"):
        RunFolder(Path("/" + "x" * 100))


def test_tokens_are_read_when_all_of_them_are_there(folder):
    assert folder.read_tokens() is None
    whole = json.dumps({"inference": {"key": "one"}, "management": {"key": "two"}, "API": {"key": "three"}})
    folder.tokens.write_text(whole[:-5])
    assert folder.read_tokens() is None
    folder.tokens.write_text(whole)
    assert folder.read_tokens() == ("one", "two")
