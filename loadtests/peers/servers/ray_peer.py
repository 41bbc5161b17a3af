"""Ray Serve: its batching, one replica. A row is the body of a request."""

from __future__ import annotations

import signal
import sys
from typing import Any

import ray  # type: ignore[import-not-found]
from peer_session import Session  # type: ignore[import-not-found]
from ray import serve

MAX_ROWS = Session().max_rows


@serve.deployment(num_replicas=1, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0})
class Peer:
    """The program."""

    def __init__(self) -> None:
        self.session = Session()

    @serve.batch(max_batch_size=MAX_ROWS, batch_wait_timeout_s=0.0)
    async def infer(self, rows: list[bytes]) -> list[bytes]:
        answers: list[bytes] = self.session.run_bytes(rows)
        return answers

    async def __call__(self, request: Any) -> Any:
        from starlette.responses import Response

        return Response(await self.infer(await request.body()))


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Peer.bind(), route_prefix="/infer")  # type: ignore[attr-defined]
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    serve.shutdown()
    ray.shutdown()
