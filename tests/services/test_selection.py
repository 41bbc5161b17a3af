from pathlib import Path

import pytest

from model_store.manifest import ReleaseIndex
from model_store.signing import Keyring
from model_store.store import EXAMPLES_NAME, Store, UnknownReleaseError, archive_name, file_digest, manifest_name
from services.selection import NothingToServeError, select_variants
from tests.services.gateway.conftest import make_manifest


def publish(store: Store, model: str, variants: dict[str, str], default: str, rejected: tuple[str, ...] = ()) -> None:
    """Publish a release; `variants` maps names to devices."""
    with store.building(model) as (number, folder):
        archives, manifests = {}, {}
        for name, device in variants.items():
            target = {"device": device, "capability": "", "torch_version": "2.13.0"}
            manifest = make_manifest(model=model, release=number, variant=name, target=target)
            path = folder / manifest_name(model, number, name)
            path.write_text(manifest.model_dump_json())
            manifests[name] = file_digest(path)
            archive = folder / archive_name(model, number, name)
            archive.write_bytes(name.encode())
            archives[name] = file_digest(archive)
        (folder / EXAMPLES_NAME).write_bytes(b"examples")
        index = ReleaseIndex(
            model=model,
            release=number,
            default=default,
            archives=archives,
            manifests=manifests,
            rejected=dict.fromkeys(rejected, "too inaccurate"),
            examples=file_digest(folder / EXAMPLES_NAME),
        )
        store.publish(folder, index)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    publish(store, "one", {"eager": "cpu", "int8": "cpu"}, "int8")
    publish(store, "one", {"eager": "cpu", "int8": "cpu", "fp16": "cuda"}, "int8", rejected=("bf16",))
    publish(store, "two", {"fp16": "cuda"}, "fp16")
    return store


def versions(catalogue, model):
    return catalogue.versions(model)


def test_serves_every_variant_that_this_device_can_run_the_default_first(store):
    catalogue = select_variants(store, ["one"], ["all"], "cpu")
    assert catalogue.versions("one") == ["2-int8", "2-eager"]
    assert catalogue.find("one").version == catalogue.find("one", "2").version == "2-int8"
    assert catalogue.find("one", "2-eager").version == "2-eager"
    assert catalogue.find("one", "1") is None


def test_serves_an_older_release_beside_the_newest(store):
    catalogue = select_variants(store, ["one", "one:1"], ["default"], "cpu")
    assert catalogue.versions("one") == ["2-int8", "1-int8"]
    assert (catalogue.find("one").version, catalogue.find("one", "1").version) == ("2-int8", "1-int8")


def test_serves_what_was_named_and_makes_it_the_default(store):
    catalogue = select_variants(store, ["one"], ["eager"], "cpu")
    assert (catalogue.versions("one"), catalogue.find("one").version) == (["2-eager"], "2-eager")


def test_says_why_a_variant_is_not_served(store):
    with pytest.raises(UnknownReleaseError, match="no variant 'bf16': too inaccurate"):
        select_variants(store, ["one"], ["bf16"], "cpu")
    with pytest.raises(NothingToServeError, match="was not built for this device"):
        select_variants(store, ["one"], ["fp16"], "cpu")
    with pytest.raises(NothingToServeError, match="two release 1 has variants for cuda only, and --device is cpu"):
        select_variants(store, ["two"], ["all"], "cpu")


def test_says_what_to_do_with_an_empty_store(tmp_path):
    with pytest.raises(NothingToServeError, match="make one with `train` and `release`"):
        select_variants(Store(tmp_path, Keyring(tmp_path / "keys")), [], ["all"], "cpu")
