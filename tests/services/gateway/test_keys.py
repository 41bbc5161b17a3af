import os
import stat
from datetime import UTC, datetime, timedelta

import pytest

from services.gateway import keys
from services.gateway.keys import KeyFile, KeyRing, KeysError, Verb

VERBS = (Verb.INFER, Verb.READ)


@pytest.fixture
def file(tmp_path):
    return KeyFile(tmp_path / "folder" / "keys.json")


@pytest.fixture
def looks_at_once(monkeypatch):
    monkeypatch.setattr(keys, "LOOK_S", 0.0)


def test_a_key_is_kept_as_a_digest_in_a_file_that_nobody_else_reads(file):
    before = os.umask(0)
    try:
        token = file.add("phone", ("net",), VERBS, None)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert token.rpartition("_")[2] not in file.path.read_text()
    (key,) = file.read()
    assert (key.name, key.models, key.verbs, key.expires) == ("phone", ("net",), VERBS, None)
    assert token.startswith(f"mlr_{key.id}_")
    assert len(token.removeprefix(f"mlr_{key.id}_")) == 43  # 256 bits


def test_only_the_whole_key_is_found(file):
    token = file.add("phone", (), VERBS, None)
    ring = KeyRing(file)
    assert ring.find(token).name == "phone"
    for wrong in (
        "",
        "mlr_",
        token[:-1],
        token + "x",
        token.upper(),
        token.replace("mlr_", "xyz_"),
        "mlr_\udcff",
        "ключ",
    ):
        assert ring.find(wrong) is None


def test_an_expired_key_is_known_as_such(file):
    end = datetime.now(UTC) - timedelta(seconds=1)
    assert KeyRing(file_with(file, expires=end)).find(file.token).has_expired
    assert not KeyRing(file_with(file, expires=end + timedelta(hours=1))).find(file.token).has_expired


def file_with(file, **changes):
    file.token = file.add("phone", (), VERBS, changes["expires"])
    return file


def test_a_running_server_sees_new_and_revoked_keys(file, looks_at_once):
    first, second = file.add("phone", (), VERBS, None), file.add("phone", (), VERBS, None)
    ring = KeyRing(file)
    third = file.add("tv", (), VERBS, None)
    assert [ring.find(token).name for token in (first, second, third)] == ["phone", "phone", "tv"]
    assert file.revoke(ring.find(first).id)[0].name == "phone"
    assert ring.find(first) is None
    assert ring.find(second).name == "phone"
    assert len(file.revoke("phone")) == 1
    assert ring.find(second) is None


def test_a_broken_file_keeps_the_keys_and_a_missing_one_lets_nobody_in(file, looks_at_once):
    token = file.add("phone", (), VERBS, None)
    ring = KeyRing(file)
    whole = file.path.read_text()
    file.path.write_text(whole[:-10])
    assert ring.find(token).name == "phone"
    file.path.unlink()
    assert ring.find(token) is None
    file.path.write_text(whole)
    assert ring.find(token).name == "phone"


def test_says_what_is_wrong_with_the_file(file):
    with pytest.raises(KeysError, match=r"No such file or directory; `serve keys add` makes one"):
        file.read()
    with pytest.raises(KeysError, match="a key's name is lower-case letters"):
        file.add("10.0.0.1", (), VERBS, None)
    file.add("phone", (), VERBS, None)
    with pytest.raises(KeysError, match=r"there is no key 'tv' in .*; it has phone \("):
        file.revoke("tv")
    file.path.chmod(0o620)
    with pytest.raises(KeysError, match=r"others may write to .* chmod 600"):
        file.read()
    file.path.chmod(0o600)
    file.path.write_text("{}x")
    with pytest.raises(KeysError, match="holds no keys as `serve keys` writes them"):
        file.read()
