"""How a command ends."""

from __future__ import annotations

import sys
from collections.abc import Callable

from model_store.exit_status import exit_status_of
from services.client.errors import ClientError


def run_to_its_end(name: str, command: Callable[[], None]) -> None:
    """Run a command; what goes wrong is one line on stderr and an exit status of `model_store.exit_status`."""
    try:
        command()
    except (ClientError, OSError, ValueError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(exit_status_of(error))
