import os
import stat

import pytest

from model_store.signing import Keyring, VerificationError


@pytest.fixture
def keyring(tmp_path):
    return Keyring(tmp_path / "keys")


def test_accepts_what_it_signed(keyring):
    keyring.verify(b"data", keyring.sign(b"data"), "it")


def test_makes_one_private_key_and_keeps_it(keyring):
    first, second = keyring.sign(b"data"), keyring.sign(b"data")
    assert first == second  # Ed25519 is deterministic
    assert stat.S_IMODE(os.stat(keyring.folder / "signing.pem").st_mode) == 0o600
    assert len(list((keyring.folder / "trusted").iterdir())) == 1


def test_refuses_changed_data(keyring):
    signature = keyring.sign(b"data")
    with pytest.raises(VerificationError, match="it was changed after it was signed"):
        keyring.verify(b"date", signature, "it")


def test_refuses_an_unknown_key_and_names_the_folder_to_put_it(keyring, tmp_path):
    signature = Keyring(tmp_path / "stranger").sign(b"data")
    keyring.sign(b"")
    with pytest.raises(VerificationError, match=r"not trusted here.*trusted"):
        keyring.verify(b"data", signature, "it")


def test_accepts_another_machines_key_once_it_is_trusted(keyring, tmp_path):
    stranger = Keyring(tmp_path / "stranger")
    signature = stranger.sign(b"data")
    (public,) = (stranger.folder / "trusted").iterdir()
    (keyring.folder / "trusted").mkdir(parents=True)
    (keyring.folder / "trusted" / public.name).write_bytes(public.read_bytes())
    keyring.verify(b"data", signature, "it")


@pytest.mark.parametrize("garbage", [b"", b"{}", b"[1]", b'{"key": "a", "signature": "?"}', b"\xff"])
def test_refuses_an_unreadable_signature(keyring, garbage):
    with pytest.raises(VerificationError, match="signature file is not readable"):
        keyring.verify(b"data", garbage, "it")
