"""What holds for the tests of everything that serves."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _logs_stay_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave logging as it is when a command is called in this process: it would write to this test's standard error,
    which is closed, from all tests after it.
    """
    monkeypatch.setattr("services.logs.configure_logs", lambda level: None)
