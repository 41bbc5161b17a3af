"""Numbers by which a worker is told of calls and streams: it may work for several gateway processes at once."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator

# Of 64: what one process counts is far from what another does.
_COUNTED_BITS = 32


def count_up() -> Iterator[int]:
    """Count from a number that chance has chosen, above 0; fits into 64 bits."""
    return itertools.count((secrets.randbits(63 - _COUNTED_BITS) << _COUNTED_BITS) + 1)
