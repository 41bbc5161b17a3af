import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from model_store.evidence import list_evidence, read_evidence
from model_store.examples import read_examples, write_examples
from model_store.release import UnknownReleaseError
from model_store.signing import Keyring, VerificationError
from model_store.store import Store


def test_published_release_reads_back_whole(store, add_release):
    add_release()
    release = store.open("net", 1)
    assert (release.model, release.number, release.variants) == ("net", 1, ("int8", "eager"))
    assert release.archive_path("eager").read_bytes() == b"archive of eager"
    assert release.manifests["int8"].version == "1-int8"
    np.testing.assert_array_equal(release.examples()["x"], np.ones((3, 4), np.float32))


def test_lists_models_and_numbers_in_order(store, add_release):
    for model in ("net", "net", "another"):
        add_release(model)
    assert store.models() == ["another", "net"]
    assert store.releases("net") == [1, 2]
    assert store.releases("unheard-of") == []


@pytest.mark.parametrize(
    ("version", "number", "variant"),
    [("", 2, "int8"), ("1", 1, "int8"), ("1-eager", 1, "eager"), ("2-int8", 2, "int8")],
)
def test_resolves_open_inference_versions(store, add_release, version, number, variant):
    add_release()
    add_release()
    release, found = store.resolve("net", version)
    assert (release.number, found) == (number, variant)


@pytest.mark.parametrize(
    ("model", "version", "message"),
    [
        ("other", "", "no model 'other'.*it has net"),
        ("net", "7", "no release '7'; it has 1"),
        ("net", "x", "no release 'x'"),
        ("net", "1-bf16", "no BF16 instructions; it has int8, eager"),
        ("net", "1-zip", "no variant 'zip'; it has int8, eager"),
        ("../net", "", "no model name"),
    ],
)
def test_names_what_there_is_when_a_version_is_unknown(store, add_release, model, version, message):
    add_release()
    with pytest.raises(UnknownReleaseError, match=message):
        store.resolve(model, version)


@pytest.mark.parametrize(
    "name",
    [
        *("release.json", "net-1-int8.mar", "net-1-eager.json", "examples.npz", "golden.npz", "evidence.zip"),
        "release.json.sig",
    ],
)
@pytest.mark.parametrize("change", ["altered", "removed"])
def test_refuses_a_release_with_a_changed_file(store, add_release, golden, name, change):
    add_release(golden=golden, evidence={"a.png": b"picture"})
    path = store.root / "net" / "1" / name
    if change == "removed":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(VerificationError, match=r"missing|changed|not the file that was signed|signature|not trusted"):
        store.open("net", 1)


def test_golden_rows_come_back_with_their_variants_and_are_copied(store, add_release, golden, tmp_path):
    add_release(golden=golden)
    release = store.copy("net", 1, tmp_path / "other")
    (eager,), (int8,) = release.golden("eager"), release.golden("int8")
    assert (eager.inputs, eager.output, eager.tolerance, eager.expected.tolist()) == (("x",), "y", 0.001, [[1, 1]] * 3)
    assert (int8.tolerance, int8.expected.tolist()) == (0, [[b"one"], [b""]])


def test_evidence_is_copied_with_its_release_and_read_by_name(store, add_release, tmp_path):
    add_release(evidence={"training.json": b"{}", "a.png": b"picture"})
    path = store.copy("net", 1, tmp_path / "other").evidence_path
    assert path == tmp_path / "other" / "net" / "1" / "evidence.zip"
    assert list_evidence(path) == ("training.json", "a.png")
    assert read_evidence(path, "a.png") == b"picture"


def test_a_program_without_a_run_has_no_evidence(store, add_release):
    add_release()
    assert store.open("net", 1).evidence_path is None


def test_a_release_from_before_golden_rows_has_none(store, add_release):
    add_release()
    assert store.open("net", 1).golden("eager") == ()


def test_refuses_a_release_of_an_unknown_key(store, add_release, tmp_path):
    add_release()
    with pytest.raises(VerificationError, match="not trusted here"):
        Store(store.root, Keyring(tmp_path / "other keys")).open("net", 1)


def test_refuses_a_release_that_was_moved_to_another_number(store, add_release):
    add_release()
    os.rename(store.root / "net" / "1", store.root / "net" / "5")
    with pytest.raises(VerificationError, match="is net release 1: it was moved"):
        store.open("net", 5)


def test_a_copy_may_be_repeated_after_an_interruption(store, add_release, tmp_path):
    add_release()
    left_behind = tmp_path / "other" / "net" / ".building-1"
    left_behind.mkdir(parents=True)
    (left_behind / "half").touch()
    for _ in range(2):
        copied = store.copy("net", 1, tmp_path / "other")
        assert copied.archive_path("int8") == tmp_path / "other" / "net" / "1" / "net-1-int8.mar"
    assert not (copied.folder / "half").exists()
    copied.archive_path("int8").write_bytes(b"changed since")
    with pytest.raises(VerificationError):
        store.copy("net", 1, tmp_path / "other")
    assert not copied.folder.exists()


def test_numbers_are_never_used_twice(store, add_release):
    add_release()
    assert add_release() == 2
    store.remove("net", 2)
    assert add_release() == 3
    assert store.releases("net") == [1, 3]


def test_failed_build_leaves_nothing(store):
    def build_half():
        with store.building("net") as (_, folder):
            (folder / "half.mar").write_bytes(b"half")
            raise RuntimeError("compiler")

    with pytest.raises(RuntimeError, match="compiler"):
        build_half()
    assert store.models() == []
    assert list((store.root / "net").iterdir()) == []


def test_concurrent_builds_get_numbers_of_their_own(store):
    with store.building("net") as (first, _), store.building("net") as (second, _):
        assert (first, second) == (1, 2)


KILLED_BUILD = """
import sys, time
from pathlib import Path
from model_store.signing import Keyring
from model_store.store import Store
root, keys = map(Path, sys.argv[1:])
with Store(root, Keyring(keys)).building("net") as (number, folder):
    (folder / "net-1-int8.mar").write_bytes(b"half an arch")
    print("building", flush=True)
    time.sleep(60)
"""


def test_killed_build_is_invisible_and_pruned_but_not_while_it_lives(store, tmp_path):
    command = [sys.executable, "-c", KILLED_BUILD, str(store.root), str(store.keyring.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as build:
        assert build.stdout.readline() == b"building\n"
        assert store.models() == []
        assert store.prune(keep=1) == []
        build.send_signal(signal.SIGKILL)
    leftover = store.root / "net" / ".building-1"
    assert leftover.is_dir()
    assert store.models() == []
    assert store.prune(keep=1) == [leftover]
    assert not leftover.exists()


def test_prune_keeps_the_newest(store, add_release):
    for _ in range(4):
        add_release()
    gone = store.prune(keep=2)
    assert [path.name for path in gone] == ["1", "2"]
    assert store.releases("net") == [3, 4]


def test_prune_leaves_a_build_alone_that_has_just_claimed_its_number(store):
    folder = store.root / "net" / ".building-1"
    folder.mkdir(parents=True)
    assert store.prune(keep=1) == []
    old = time.time() - 3600
    os.utime(folder, (old, old))
    assert store.prune(keep=1) == [folder]


def test_examples_keep_bytes_of_any_length(tmp_path):
    files = np.array([b"", b"\x00\xff", "é".encode()], np.object_)
    write_examples(tmp_path / "e.npz", {"encoded": files, "x": np.arange(3)})
    examples = read_examples(tmp_path / "e.npz")
    assert examples["encoded"].tolist() == files.tolist()
    assert examples["x"].tolist() == [0, 1, 2]
