"""An environment for each peer: their pins conflict with ours and with each other's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

INSTALL_TIMEOUT_S = 1200


class PeerError(RuntimeError):
    """A peer could not be installed, started or asked; the message ends with what it said."""


def cache_folder() -> Path:
    """Where environments are kept between runs: the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millrace" / "peers"


def make_environment(name: str, packages: tuple[str, ...], cache: Path) -> Path:
    """Make, or find, a virtual environment with these packages; returns its interpreter.

    Raises:
        PeerError: uv is not there, or could not install them.
    """
    folder = cache / name
    python, stamp = folder / "bin" / "python", folder / "installed.json"
    wanted = json.dumps([sys.version, *packages])
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    uv = shutil.which("uv") or shutil.which(str(Path(".tools/bin/uv")))
    if uv is None:
        raise PeerError("uv is not on PATH; `make setup` puts it into .tools/bin")
    shutil.rmtree(folder, ignore_errors=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    _run([uv, "venv", "--quiet", "--python", version, str(folder)])
    _run([uv, "pip", "install", "--quiet", "--python", str(python), *packages])
    stamp.write_text(wanted)
    return python


def environment_of(python: Path) -> dict[str, str]:
    """Variables for a peer's processes: nothing of ours, one thread, its own interpreter's library first."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "MILLRACE", "GRPC_"))
    }
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    # Triton's Python backend loads libpython; the system's, where it comes first, is another version.
    library = sysconfig.get_config_var("LIBDIR") or ""
    paths = [library, *filter(None, [os.environ.get("LD_LIBRARY_PATH", "")])]
    return kept | one_thread | {"PATH": f"{python.parent}:{kept.get('PATH', '')}", "LD_LIBRARY_PATH": ":".join(paths)}


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"{' '.join(command[:3])} took longer than {INSTALL_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise PeerError(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-600:]}")
