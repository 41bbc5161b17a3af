"""Which GPU, or slice of one (MIG), a worker has: the one that the fewest workers beside it have.

TorchServe places workers by numbers alone and knows no slices. A worker that is told names of devices chooses itself;
what it holds is free again when its process ends, however that comes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path


def claim_gpu(names: Sequence[str], folder: Path) -> str:
    """Claim one of several devices, the first of those with the fewest claims, for as long as this process lives.

    `folder` is common to the workers beside each other.
    """
    folder.mkdir(exist_ok=True)
    with (folder / "choosing").open("w") as choosing:
        fcntl.flock(choosing, fcntl.LOCK_EX)  # one at a time, or two would count the same claims
        chosen = min(range(len(names)), key=lambda place: _count_claims(folder, place))
        descriptor = os.open(folder / f"{chosen}-{os.getpid()}", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # never closed: the claim
    return names[chosen]


def _count_claims(folder: Path, place: int) -> int:
    """Count the claims on a device that processes hold, and remove what others have left."""
    num_claims = 0
    for path in folder.glob(f"{place}-*"):
        with path.open() as claim:
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                num_claims += 1
            else:
                path.unlink()
    return num_claims
