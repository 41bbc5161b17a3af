"""How many files and connections a process may have open."""

from __future__ import annotations

import resource


def allow_many_descriptors() -> int:
    """Raise this process's limit of open descriptors, often 1024, to the most it may have; return that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
