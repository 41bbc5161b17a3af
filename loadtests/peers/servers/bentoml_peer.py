"""BentoML: its adaptive batching, one worker. Rows come as base64 in JSON."""

from __future__ import annotations

import base64

import bentoml  # type: ignore[import-not-found]
from peer_session import Session  # type: ignore[import-not-found]

MAX_ROWS = Session().max_rows


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1000}, logging={"access": {"enabled": False}})
class Peer:
    """The program."""

    def __init__(self) -> None:
        self.session = Session()

    @bentoml.api(batchable=True, max_batch_size=MAX_ROWS, max_latency_ms=1000)
    def infer(self, rows: list[str]) -> list[str]:
        answers = self.session.run_bytes([base64.b64decode(row) for row in rows])
        return [base64.b64encode(answer).decode() for answer in answers]
