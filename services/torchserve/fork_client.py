"""Stand for a worker that fork_server.py forks: hand over what this process was started with, and end with it.

Usage: python -I -S fork_client.py SOCKET SCRIPT ARGUMENTS…   (what TorchServe runs in the place of Python)

Standard library only, without site-packages: it starts in milliseconds and stays small.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main(server: str, arguments: list[str]) -> int:
    request = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    body = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server)
        socket.send_fds(connection, [len(body).to_bytes(4, "big")], [0, 1, 2])
        connection.sendall(body)
        status = connection.recv(1)
    return status[0] if status else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
