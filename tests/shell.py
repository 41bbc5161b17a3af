"""Commands as a shell would run them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest


def run_as_shell(
    main: Callable[[], None],
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int | str, str, str]:
    """Run a command's `main` with these words, its name the first; gives exit status, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as exit_:
        main()
    captured = capsys.readouterr()
    return exit_.value.code or 0, captured.out, captured.err
