from pathlib import Path

import pytest

from model_store.release import UnknownReleaseError
from model_store.signing import Keyring
from model_store.store import Store
from services.fitting import NothingToServeError
from services.selection import select_variants
from tests.builders import publish_release


def on(device: str) -> dict:
    return {"target": {"device": device, "capability": "", "torch_version": "2.13.0"}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    publish_release(store, "one")
    variants = {"eager": {}, "int8": {}, "fp16": on("cuda"), "bf16": {}}
    publish_release(store, "one", variants, default="int8", rejected={"bf16": "too inaccurate"})
    publish_release(store, "two", {"fp16": on("cuda")})
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
    assert select_variants(store, ["one"], ["eager", "int8"], "cpu").versions("one") == ["2-eager", "2-int8"]


def test_words_stand_for_what_each_release_calls_so(tmp_path):
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    small = {"size_bytes": 500_000}
    publish_release(
        store, "net", {"eager": {}, "compiled": {}, "int8": small, "fp16": small | on("cuda")}, default="int8"
    )
    publish_release(store, "other", {"eager": {}, "onnx": small}, default="onnx")
    catalogue = select_variants(store, ["net", "other"], ["default", "reference", "front"], "cpu")
    assert catalogue.versions("net") == ["1-int8", "1-eager"]
    assert catalogue.versions("other") == ["1-onnx", "1-eager"]


def test_says_why_a_variant_is_not_served(store):
    with pytest.raises(UnknownReleaseError, match="no variant 'bf16': too inaccurate"):
        select_variants(store, ["one"], ["bf16"], "cpu")
    with pytest.raises(NothingToServeError, match="2-fp16 does not run here: built for cuda, and --device is cpu"):
        select_variants(store, ["one"], ["fp16"], "cpu")
    with pytest.raises(NothingToServeError, match="two release 1 has no variant that runs here: built for cuda, and"):
        select_variants(store, ["two"], ["all"], "cpu")


@pytest.fixture
def small_cpu(monkeypatch):
    """This machine as one without AVX-512."""
    monkeypatch.setattr("host.instruction_sets.cpu_flags", lambda: frozenset({"avx2", "fma"}))


def needing(capability: str, **figures: float) -> dict:
    speed = {"rows": 8, "rows_per_s": 100.0, "single_row_ms": 1.0, "threads": 1, "host": "there"} | figures
    torch_version = "2.13.0" if capability else ""
    return {"target": {"device": "cpu", "capability": capability, "torch_version": torch_version}, "speed": speed}


def test_what_was_compiled_for_instructions_that_this_cpu_lacks_is_left_and_the_best_of_the_others_answers(
    small_cpu, tmp_path
):
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    variants = {
        "compiled": needing("AVX512"),
        "int8": needing("AVX512+VNNI", rows_per_s=900.0),
        "eager": needing(""),
        "onnx": needing("", rows_per_s=300.0, single_row_ms=0.2),
        "onnx-int8": needing("", rows_per_s=500.0),
    }
    publish_release(store, "net", variants, default="int8")
    publish_release(store, "quick", variants, default="int8", objective="latency")
    publish_release(store, "bound", {"int8": needing("AVX512+VNNI")})
    catalogue = select_variants(store, ["net", "quick"], ["all"], "cpu")
    assert catalogue.versions("net") == ["1-onnx-int8", "1-eager", "1-onnx"]
    assert catalogue.find("quick").version == "1-onnx"
    assert {version: why for (model, version), why in catalogue.left_out.items() if model == "net"} == {
        "1-int8": "built for cpu AVX512+VNNI, and this CPU is AVX2, without AVX512, VNNI",
        "1-compiled": "built for cpu AVX512, and this CPU is AVX2, without AVX512",
    }
    assert select_variants(store, ["net"], ["default"], "cpu").versions("net") == ["1-onnx-int8"]
    with pytest.raises(NothingToServeError, match=r"1-int8 does not run here: built for cpu AVX512\+VNNI, .*; here"):
        select_variants(store, ["net"], ["int8"], "cpu")
    with pytest.raises(NothingToServeError, match=r"1 has no variant that runs here: built for cpu AVX512\+VNNI, and"):
        select_variants(store, ["bound"], ["all"], "cpu")


def test_says_what_to_do_with_an_empty_store(tmp_path):
    with pytest.raises(NothingToServeError, match="make one with `train` and `release`"):
        select_variants(Store(tmp_path, Keyring(tmp_path / "keys")), [], ["all"], "cpu")
