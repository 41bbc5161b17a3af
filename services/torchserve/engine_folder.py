"""The folder that a gateway and an engine apart share: the engine's socket, and a folder for each run.

Whoever writes to it decides what TorchServe runs, so it is for one user only. Both see it at the same path.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from services.torchserve.command import StartError
from services.torchserve.run_folder import LONGEST_FOLDER_PATH, PREFIX

SOCKET_NAME = "engine.sock"
KIND = socket.SOCK_SEQPACKET  # what is sent at once comes at once
MESSAGE_BYTES = 2**14
_RUN_NAME_LENGTH = len(f"/{PREFIX}") + 8


def check_folder(folder: Path) -> None:
    """Refuse a folder that is absent or not this user's alone.

    Raises:
        StartError: says what it is and what to do.
    """
    advice = f"run `serve engine {folder}` as the same user; it makes the folder"
    try:
        found = folder.stat()
    except OSError as error:
        raise StartError(f"there is no engine at {folder} ({error.strerror}); {advice}") from None
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        raise StartError(f"{folder} is no folder; {advice}")
    if found.st_uid != os.getuid() or mode & 0o077:
        raise StartError(
            f"{folder} belongs to user {found.st_uid} with mode {mode:04o}, and who can write to an engine's folder "
            f"decides what it runs: it has to belong to user {os.getuid()}, who runs this, with mode 0700; {advice}"
        )
    if len(str(folder)) + _RUN_NAME_LENGTH > LONGEST_FOLDER_PATH:
        raise StartError(
            f"{folder} is too deep for sockets: at most {LONGEST_FOLDER_PATH - _RUN_NAME_LENGTH} characters"
        )
