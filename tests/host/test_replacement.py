import os
import stat

import pytest

from host.replacement import replacing


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "keys.json"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["keys.json"]


def test_an_error_leaves_the_file_as_it_was_and_no_draft(tmp_path):
    path = tmp_path / "keys.json"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match="bytes"), replacing(path) as file:
        file.write("text")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["keys.json"]


def test_a_mode_holds_whatever_the_umask(tmp_path):
    path = tmp_path / "keys.json"
    before = os.umask(0o277)
    try:
        with replacing(path, mode=0o600) as file:
            file.write(b"secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
