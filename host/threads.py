"""How the threads of one program wait for each other, as environment variables that OpenMP reads when it starts."""

from __future__ import annotations

import os

# By default they wait in a busy loop: as soon as one loses its core to another process, each parallel step takes a time
# slice. Threads that never wait so need a wake-up for each step. A wait of some 100 µs has neither fault: eight short
# translations took 171 ms on two idle cores without it and 33 ms with it; on cores that other work kept busy 398 ms
# without it, 144 ms with it and 288 ms with ten times as much.
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}


def share_cores() -> dict[str, str]:
    """Variables for a process whose threads share their cores with other processes; what is set already stays."""
    return {name: os.environ.get(name, value) for name, value in _WAITING.items()}
