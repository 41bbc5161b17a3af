"""A handler for TorchServe itself, without our gateway: its own batching, a row is the body of a request."""

from __future__ import annotations

from typing import Any

from peer_session import Session  # type: ignore[import-not-found]

_sessions: list[Session] = []


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[bytes] | None:
    """Answer a batch of requests; TorchServe calls once without data for loading."""
    if not _sessions:
        _sessions.append(Session())
    if data is None:
        return None
    answers: list[bytes] = _sessions[0].run_bytes([bytes(item.get("body") or item["data"]) for item in data])
    return answers
